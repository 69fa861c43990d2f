// The innermost loop of the optimizers' update.
#pragma once

#include "core/kernels.h"

namespace galvan {

// The n elements at which the blocks' pointers stand, in one pass. No branch depends on data, so the compiler vectorises it.
template <class Update, class T>
void update_elements(const Update& update_of, const UpdateBlocks<T>& blocks, int64_t n) {
  using M = Acc<T>;
  const Update update = update_of;
  constexpr bool kMasters = !std::is_same_v<T, M>;
  T* __restrict weight = blocks.weight;
  M* master = blocks.master;  // without masters these are the weights
  const T* __restrict grad = blocks.grad;
  M* __restrict state0 = blocks.state0;
  M* __restrict state1 = blocks.state1;
  if constexpr (kMasters)  // in loops of their own: all in one, no compiler here makes vector code of it
    for (int64_t i = 0; i < n; ++i) master[i] = current_master(weight[i], master[i]);
  for (int64_t i = 0; i < n; ++i) {
    M state[2] = {};
    if constexpr (Update::kStates > 0) state[0] = state0[i];
    if constexpr (Update::kStates > 1) state[1] = state1[i];
    master[i] = update(master[i], static_cast<M>(grad[i]), state);
    if constexpr (Update::kStates > 0) state0[i] = state[0];
    if constexpr (Update::kStates > 1) state1[i] = state[1];
  }
  if constexpr (kMasters)
    for (int64_t i = 0; i < n; ++i) weight[i] = T(master[i]);
}

}  // namespace galvan
