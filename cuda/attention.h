// What the attention kernels share: tiles of rows in shared memory and their products, by 16 x 16 threads.
//
// A kernel makes kM rows of its results, and goes through kN rows of the other side at a time. Thread (ty, tx)
// owns rows ty + 16 i of the kM in everything: their scores against columns tx + 16 j, and every 16th pack of
// the results. The 16 threads that share rows are half a warp.
#pragma once

#include "core/check.h"
#include "core/head_layout.h"
#include "cuda/pack.h"
#include "cuda/warp.h"

namespace galvan::attention_tiles {

inline constexpr int kSide = 16;
inline constexpr int kThreads = kSide * kSide;

// The sizes of tiles for rows of kD elements of type A: what a backward needs of them stays below 80 KB.
template <class A, int kD>
struct Tiles {
  static constexpr int kN = 128 / static_cast<int>(sizeof(A));
  static constexpr int kM = kD <= 64 ? 2 * kN : kN;
  static constexpr int kI = kM / kSide, kJ = kN / kSide;
  // From one row to the next: the pack between them keeps the packs of a column in different banks.
  static constexpr int kStride = kD + kPack<A>;
  static constexpr int kWeightStride = kN + kPack<A>;
};

__device__ inline int tx() { return static_cast<int>(threadIdx.x) % kSide; }
__device__ inline int ty() { return static_cast<int>(threadIdx.x) / kSide; }

__device__ inline int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

// tile (n, kD) = rows [first, first + n) of x's head; 0 from row `end` and from column D on.
template <int kD, class T>
__device__ inline void load_tile(HeadRows<const T> x, int64_t b, int64_t head, int64_t first, int n,
                                 int64_t end, int D, bool whole, Acc<T>* tile) {
  using A = Acc<T>;
  constexpr int kPacks = kD / kPack<T>;
  for (int p = static_cast<int>(threadIdx.x); p < n * kPacks; p += kThreads) {
    const int row = p / kPacks, c = p % kPacks * kPack<T>;
    Pack<T> pack{};
    if (first + row < end) {
      const T* from = x.at(b, head, first + row);
      pack = whole && c < D ? load_pack<true>(from, c, D) : load_pack<false>(from, c, D);
    }
    A* const to = tile + row * Tiles<A, kD>::kStride + c;
#pragma unroll
    for (int i = 0; i < kPack<T>; i += kPack<A>) {
      Pack<A> wide;
#pragma unroll
      for (int e = 0; e < kPack<A>; ++e) wide.at[e] = A(pack.at[i + e]);
      pack_at<kPack<A>>(to + i) = wide;
    }
  }
}

// s[i][j] = <a[ty + 16 i], b[tx + 16 j]>, of a (kM, kD) and b (kN, kD).
template <int kD, int kI, int kJ, class A>
__device__ inline void products(const A* a, const A* b, A (&s)[kI][kJ]) {
  constexpr int kStride = Tiles<A, kD>::kStride;
#pragma unroll
  for (int i = 0; i < kI; ++i)
#pragma unroll
    for (int j = 0; j < kJ; ++j) s[i][j] = 0;
#pragma unroll 4
  for (int d = 0; d < kD; d += kPack<A>) {
    Pack<A> x[kI], y[kJ];
#pragma unroll
    for (int i = 0; i < kI; ++i) x[i] = pack_at<kPack<A>>(a + (ty() + kSide * i) * kStride + d);
#pragma unroll
    for (int j = 0; j < kJ; ++j) y[j] = pack_at<kPack<A>>(b + (tx() + kSide * j) * kStride + d);
#pragma unroll
    for (int i = 0; i < kI; ++i)
#pragma unroll
      for (int j = 0; j < kJ; ++j)
#pragma unroll
        for (int e = 0; e < kPack<A>; ++e) s[i][j] += x[i].at[e] * y[j].at[e];
  }
}

// weights (kM, kN) = s, of which a thread reads only rows that its half warp has written.
template <int kD, int kI, int kJ, class A>
__device__ inline void share_weights(const A (&s)[kI][kJ], A* weights) {
#pragma unroll
  for (int i = 0; i < kI; ++i)
#pragma unroll
    for (int j = 0; j < kJ; ++j)
      weights[(ty() + kSide * i) * Tiles<A, kD>::kWeightStride + tx() + kSide * j] = s[i][j];
  __syncwarp();  // they are written before they are read
}

// A thread's part of the results: kI rows, of each every 16th pack.
template <class A, int kD>
struct RowParts {
  using Sizes = Tiles<A, kD>;
  static constexpr int kI = Sizes::kI;
  static constexpr int kWidth = kD / kSide < kPack<A> ? kD / kSide : kPack<A>;
  static constexpr int kPacks = kD / kSide / kWidth;
  Pack<A, kWidth> at[kI][kPacks] = {};

  __device__ static int column(int pack) { return (pack * kSide + tx()) * kWidth; }

  // += weights x, of weights (kM, kN) and x (kN, kD)
  __device__ void add_product(const A* weights, const A* x) {
#pragma unroll 2
    for (int k = 0; k < Sizes::kN; k += kPack<A>) {
      Pack<A> w[kI];
#pragma unroll
      for (int i = 0; i < kI; ++i)
        w[i] = pack_at<kPack<A>>(weights + (ty() + kSide * i) * Sizes::kWeightStride + k);
#pragma unroll
      for (int e = 0; e < kPack<A>; ++e)
#pragma unroll
        for (int p = 0; p < kPacks; ++p) {
          const auto pack = pack_at<kWidth>(x + (k + e) * Sizes::kStride + column(p));
#pragma unroll
          for (int i = 0; i < kI; ++i)
#pragma unroll
            for (int c = 0; c < kWidth; ++c) at[i][p].at[c] += w[i].at[e] * pack.at[c];
        }
    }
  }

  __device__ void scale(int i, A factor) {
#pragma unroll
    for (int p = 0; p < kPacks; ++p)
#pragma unroll
      for (int c = 0; c < kWidth; ++c) at[i][p].at[c] *= factor;
  }

  // Rows [first, first + kM) of y's head, below `end`.
  template <class T>
  __device__ void store(HeadRows<T> y, int64_t b, int64_t head, int64_t first, int64_t end, int D,
                        bool whole) const {
#pragma unroll
    for (int i = 0; i < kI; ++i) {
      const int64_t row = first + ty() + kSide * i;
      if (row >= end) continue;
      T* const to = y.at(b, head, row);
#pragma unroll
      for (int p = 0; p < kPacks; ++p) {
        Pack<T, kWidth> pack;
#pragma unroll
        for (int c = 0; c < kWidth; ++c) pack.at[c] = T(at[i][p].at[c]);
        if (whole && column(p) < D) {
          pack_at<kWidth>(to + column(p)) = pack;
        } else {
#pragma unroll
          for (int c = 0; c < kWidth; ++c)
            if (column(p) + c < D) to[column(p) + c] = pack.at[c];
        }
      }
    }
  }
};

// The sum and the maximum over the 16 threads that share rows; NaN is smaller than everything.
template <class A>
__device__ inline A row_sum(A value) {
  for (int flip = kSide / 2; flip > 0; flip /= 2) value += __shfl_xor_sync(kAllLanes, value, flip);
  return value;
}
template <class A>
__device__ inline A row_max(A value) {
  for (int flip = kSide / 2; flip > 0; flip /= 2) {
    const A other = __shfl_xor_sync(kAllLanes, value, flip);
    value = other > value ? other : value;
  }
  return value;
}

template <class T>
HeadRows<const T> read_only(HeadRows<T> x) {
  return {x.data, x.batch_stride, x.head_stride, x.row_stride};
}

// Whether every row of every head consists of whole, aligned packs.
template <class T>
bool rows_are_whole(int64_t D, std::initializer_list<HeadRows<const T>> tensors) {
  bool whole = true;
  for (const HeadRows<const T>& x : tensors) {
    whole = whole && packs_are_whole<T>(D, {x.data});
    whole = whole && (x.batch_stride | x.head_stride | x.row_stride) % kPack<T> == 0;
  }
  return whole;
}

// Whether bfloat16 is for flash_forward.cu and flash_backward.cu: not where the version "flash_fma" has been chosen
// (core/variants.h).
bool on_tensor_cores();

// Calls f<kD>() with the smallest size of tiles that has room for heads of size D.
template <class F>
void with_padded_head(int64_t D, const F& f) {
  check(D <= 128, "attention: heads of size ", D, ", but CUDA's kernels take at most 128");
  if (D <= 32) {
    f.template operator()<32>();
  } else if (D <= 64) {
    f.template operator()<64>();
  } else {
    f.template operator()<128>();
  }
}

}  // namespace galvan::attention_tiles
