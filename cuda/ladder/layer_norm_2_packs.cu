// Layer norm, rung 2: a warp a row, pack by pack. What training uses for rows that are too long for registers.
// Changed  a lane takes 16 bytes of neighbouring elements at a time (cuda/pack.h)
// Helps    a quarter of the requests, an eighth in bfloat16
// Costs    rows whose packs are not whole and aligned are read element by element
// Memory   2 R C sizeof(T) bytes, 4 with a residual; asked for, the rest from L1: 6 R C with weight and bias (RMS norm 5),
//          9 with a residual
// Launch   one row a warp, four warps a block
// Figure   requests, in README.md
#include <cmath>

#include "cuda/ladder/layer_norm.h"
#include "cuda/pack.h"
#include "cuda/replicas.h"
#include "cuda/warp.h"

namespace galvan::ladder {
namespace {

constexpr int kWarps = 4;

template <class T, bool kWhole>
__device__ void norm_forward_packs(NormForward<T> p) {
  using A = Acc<T>;
  constexpr int kSize = kPack<T>, kStep = 32 * kSize;
  const int64_t row = int64_t{blockIdx.x} * kWarps + warp_id(), columns = p.columns;
  if (row >= p.rows) return;
  const int64_t start = row * columns, first = lane_id() * kSize;

  const T* s = p.x + start;
  if (p.residual) {
    s = p.sum + start;
    for (int64_t c = first; c < columns; c += kStep) {
      const auto x = load_pack<kWhole>(p.x + start, c, columns);
      const auto residual = load_pack<kWhole>(p.residual + start, c, columns);
      Pack<T> sum;
#pragma unroll
      for (int i = 0; i < kSize; ++i) sum.at[i] = T(A(x.at[i]) + A(residual.at[i]));
      store_pack<kWhole>(p.sum + start, c, columns, sum);
    }
  }

  const A scale = A(1) / A(columns);
  A mean = 0;
  if (p.mean) {
    for (int64_t c = first; c < columns; c += kStep) {
      const auto values = load_pack<kWhole>(s, c, columns);
#pragma unroll
      for (int i = 0; i < kSize; ++i) mean += A(values.at[i]);
    }
    mean = warp_sum(mean) * scale;
  }
  A squares = 0;
  for (int64_t c = first; c < columns; c += kStep) {
    const auto values = load_pack<kWhole>(s, c, columns);
#pragma unroll
    for (int i = 0; i < kSize; ++i) {
      const A d = kWhole || c + i < columns ? A(values.at[i]) - mean : A(0);
      squares += d * d;
    }
  }
  const A rstd = A(1) / std::sqrt(warp_sum(squares) * scale + A(p.eps));

  for (int64_t c = first; c < columns; c += kStep) {
    const auto values = load_pack<kWhole>(s, c, columns);
    A out[kSize];
#pragma unroll
    for (int i = 0; i < kSize; ++i) out[i] = (A(values.at[i]) - mean) * rstd;
    if (p.weight) {
      const auto weight = load_pack<kWhole>(p.weight, c, columns);
#pragma unroll
      for (int i = 0; i < kSize; ++i) out[i] *= A(weight.at[i]);
    }
    if (p.bias) {
      const auto bias = load_pack<kWhole>(p.bias, c, columns);
#pragma unroll
      for (int i = 0; i < kSize; ++i) out[i] += A(bias.at[i]);
    }
    Pack<T> y;
#pragma unroll
    for (int i = 0; i < kSize; ++i) y.at[i] = T(out[i]);
    store_pack<kWhole>(p.y + start, c, columns, y);
  }
  if (lane_id() == 0) {
    if (p.mean) p.mean[row] = mean;
    p.rstd[row] = rstd;
  }
}

}  // namespace

template <class T>
void layer_norm_packs(cudaStream_t stream, const NormForward<T>& p) {
  const unsigned blocks = blocks_for(p.rows, kWarps);
  if (packs_are_whole<T>(p.columns, {p.x, p.residual, p.weight, p.bias, p.sum, p.y})) {
    launch_body<norm_forward_packs<T, true>, Body{.replicas = kReplicated<T>}>(blocks, kWarps * 32, 0, stream,
                                                                               p);
  } else {
    launch_body<norm_forward_packs<T, false>, Body{.replicas = kReplicated<T>}>(blocks, kWarps * 32, 0,
                                                                                stream, p);
  }
}
template void layer_norm_packs(cudaStream_t, const NormForward<float>&);
template void layer_norm_packs(cudaStream_t, const NormForward<double>&);
template void layer_norm_packs(cudaStream_t, const NormForward<bfloat16>&);

}  // namespace galvan::ladder
