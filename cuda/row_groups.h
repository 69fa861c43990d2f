// Short rows in registers: a row is dealt out, pack by pack, to a group of kLanes lanes, each of which keeps kOwn of its
// elements. Groups are halves of a warp where that is enough, so that few lanes of a short row are idle.
#pragma once

#include "cuda/pack.h"
#include "cuda/warp.h"

namespace galvan {

inline constexpr int64_t kMostInRegisters = 1024;  // columns of a row

// Calls run.operator()<kLanes, kOwn>() for rows of so many columns, at most kMostInRegisters.
template <class Run>
void for_row_groups(int64_t columns, const Run& run) {
  if (columns <= 128) {
    run.template operator()<16, 8>();
  } else if (columns <= 384) {
    run.template operator()<16, 24>();
  } else if (columns <= 512) {
    run.template operator()<32, 16>();
  } else {
    run.template operator()<32, 32>();
  }
}

// The sum over a group. All lanes of the warp come.
template <int kLanes, class A>
__device__ inline A group_sum(A value) {
#pragma unroll
  for (int flip = kLanes / 2; flip > 0; flip /= 2) value += __shfl_xor_sync(kAllLanes, value, flip);
  return value;
}

// The elements of a row that the calling lane keeps: pack i begins at column(i).
template <class T, bool kWhole, int kLanes, int kOwn>
struct RowOfGroup {
  static constexpr int kSize = kPack<T>, kPacks = kOwn / kSize, kGroupsOfWarp = 32 / kLanes;
  static_assert(kPacks * kSize == kOwn);

  int columns;
  bool exists;  // where it does not, nothing is read or written

  __device__ int column(int i) const { return (static_cast<int>(threadIdx.x) % kLanes + i * kLanes) * kSize; }
  __device__ bool has(int i) const { return exists && column(i) < columns; }
  __device__ bool has(int i, int e) const { return kWhole ? has(i) : exists && column(i) + e < columns; }

  // Of the row that begins at `row`; 0 where it has none.
  __device__ void load(const T* row, Raw<T> (&packs)[kPacks]) const {
#pragma unroll
    for (int i = 0; i < kPacks; ++i) {
      packs[i] = {};
      if (has(i)) packs[i] = load_raw<kWhole>(row, column(i), columns);
    }
  }
  // Pack i of a parameter of as many elements, of which each is `otherwise` where it is null.
  __device__ Wide<T> parameter(const T* parameter, Acc<T> otherwise, int i) const {
    Raw<T> loaded{};
    if (parameter && has(i)) loaded = load_raw<kWhole>(parameter, column(i), columns);
    Wide<T> pack = widened<T>(loaded);
#pragma unroll
    for (int e = 0; e < kSize; ++e) pack.at[e] = parameter ? pack.at[e] : otherwise;
    return pack;
  }
  __device__ void store(T* row, int i, const Raw<T>& pack) const {
    store_raw<kWhole>(row, column(i), columns, pack);
  }
};

}  // namespace galvan
