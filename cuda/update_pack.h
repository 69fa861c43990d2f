// The optimizers' update of a piece of the flat arena, by the blocks that the launch gives it.
#pragma once

#include "core/kernels.h"
#include "cuda/pack.h"

namespace galvan {

inline constexpr int kUpdateThreads = 256;
inline constexpr int kUpdateParts = 4;  // blocks of a piece

__device__ inline bool is_updated(const UpdatePieces& p, int64_t piece) {
  return p.has_grad[p.pieces[piece].segment] != 0;
}

// Elements i to i + N of the blocks.
template <int N, class T, class Update>
__device__ inline void update_pack(const UpdateBlocks<T>& p, int64_t i, const Update& update) {
  using M = Acc<T>;
  constexpr bool kMasters = !std::is_same_v<T, M>;
  const auto grad = pack_at<N>(p.grad + i);
  auto master = pack_at<N>(p.master + i);
  Pack<T, N> weight;
  if constexpr (kMasters) weight = pack_at<N>(p.weight + i);
  Pack<M, N> state0{}, state1{};
  if constexpr (Update::kStates > 0) state0 = pack_at<N>(p.state0 + i);
  if constexpr (Update::kStates > 1) state1 = pack_at<N>(p.state1 + i);
#pragma unroll
  for (int e = 0; e < N; ++e) {
    M state[] = {state0.at[e], state1.at[e]};
    if constexpr (kMasters) master.at[e] = current_master(weight.at[e], master.at[e]);
    master.at[e] = update(master.at[e], M(grad.at[e]), state);
    if constexpr (kMasters) weight.at[e] = T(master.at[e]);
    state0.at[e] = state[0];
    state1.at[e] = state[1];
  }
  pack_at<N>(p.master + i) = master;
  if constexpr (kMasters) pack_at<N>(p.weight + i) = weight;
  if constexpr (Update::kStates > 0) pack_at<N>(p.state0 + i) = state0;
  if constexpr (Update::kStates > 1) pack_at<N>(p.state1 + i) = state1;
}

// Part `part` of a piece, where begin_update left control->applied.
template <class Rule, class T>
__device__ inline void update_part(const UpdatePieces& p, int64_t index, int part,
                                   const typename Rule::template Coefficients<Acc<T>>* coefficients,
                                   const StepControl* control, const UpdateBlocks<T>& blocks) {
  constexpr int N = kPack<Acc<T>>;
  if (!control->applied || !is_updated(p, index)) return;
  const UpdatePiece piece = p.pieces[index];
  const auto c = coefficients[piece.segment];
  c.with_update([&](const auto& update) {
    for (int i = (part * kUpdateThreads + static_cast<int>(threadIdx.x)) * N; i < piece.size;
         i += kUpdateParts * kUpdateThreads * N) {
      if (i + N <= piece.size) {
        update_pack<N>(blocks, piece.begin + i, update);
      } else {
        for (int e = i; e < piece.size; ++e) update_pack<1>(blocks, piece.begin + e, update);
      }
    }
  });
}

}  // namespace galvan
