// Sums and maxima over the lanes of a warp and the warps of a block. Every lane gets the result, and the order
// of the additions is fixed: the same bits in every run.
#pragma once

#include "cuda/dialect.h"

namespace galvan {

inline constexpr unsigned kAllLanes = 0xffffffffu;

__device__ inline int lane_id() { return static_cast<int>(threadIdx.x % 32); }
__device__ inline int warp_id() { return static_cast<int>(threadIdx.x / 32); }

template <class A>
__device__ inline A warp_sum(A value) {
  for (int flip = 16; flip > 0; flip /= 2) value += __shfl_xor_sync(kAllLanes, value, flip);
  return value;
}

// NaN is smaller than everything here; a caller that must keep it carries it in its sums.
template <class A>
__device__ inline A warp_max(A value) {
  for (int flip = 16; flip > 0; flip /= 2) {
    const A other = __shfl_xor_sync(kAllLanes, value, flip);
    value = other > value ? other : value;
  }
  return value;
}

// The sum over a block of whole warps along x, at most 32 of them. May be called again right away.
template <class A>
__device__ inline A block_sum(A value) {
  GALVAN_SHARED(A[32], of_warp);
  value = warp_sum(value);
  if (lane_id() == 0) of_warp[warp_id()] = value;
  __syncthreads();  // every warp's sum is written before it is read
  value = warp_sum(threadIdx.x % 32 < blockDim.x / 32 ? of_warp[lane_id()] : A(0));
  __syncthreads();  // all have read before the next call writes
  return value;
}

// The maximum over a block, once in a launch: nothing keeps the writes of a second call from this one's reads. NaN
// is smaller than everything.
template <class A>
__device__ inline A block_max(A value) {
  GALVAN_SHARED(A[32], of_warp);
  value = warp_max(value);
  if (lane_id() == 0) of_warp[warp_id()] = value;
  __syncthreads();  // every warp's maximum is written before it is read
  return warp_max(of_warp[threadIdx.x % 32 < blockDim.x / 32 ? lane_id() : 0]);
}

}  // namespace galvan
