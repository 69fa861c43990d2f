// Tiles of matrices by packs of 16 bytes: what the ladder of matrix products has from its fifth rung on.
#pragma once

#include "cuda/ladder/matmul.h"
#include "cuda/pack.h"

namespace galvan::ladder {

// Elements column, column + 1, ... of a row that is dense in memory, in one load where the rows of x are whole, aligned
// packs; 0 outside.
template <class T>
__device__ inline Pack<T> pack_of(const Matrix<T>& x, int64_t row, int64_t column) {
  if (row >= x.rows || column >= x.columns) return {};
  const bool aligned =
      reinterpret_cast<uintptr_t>(x.data) % sizeof(Pack<T>) == 0 && x.row_stride % kPack<T> == 0;
  const T* const from = x.data + row * x.row_stride;
  return aligned && column + kPack<T> <= x.columns ? load_pack<true>(from, column, x.columns)
                                                   : load_pack<false>(from, column, x.columns);
}

// x's element (row + r, column + c) to tile[r * kRowStep + c * kColumnStep], r < kRows, c < kColumns, by a block of
// kThreads. x's rows are dense.
template <int kThreads, int kRows, int kColumns, int kRowStep, int kColumnStep, class T>
__device__ inline void load_rows(const Matrix<T>& x, int64_t row, int64_t column, Acc<T>* tile) {
  using A = Acc<T>;
  constexpr int kPacks = kColumns / kPack<T>;
  for (int p = static_cast<int>(threadIdx.x); p < kRows * kPacks; p += kThreads) {
    const int r = p / kPacks, c = p % kPacks * kPack<T>;
    const Pack<T> pack = pack_of(x, row + r, column + c);
    A* const to = tile + r * kRowStep + c * kColumnStep;
    if constexpr (kColumnStep == 1) {
#pragma unroll
      for (int i = 0; i < kPack<T>; i += kPack<A>) {
        Pack<A> wide;
#pragma unroll
        for (int e = 0; e < kPack<A>; ++e) wide.at[e] = A(pack.at[i + e]);
        pack_at<kPack<A>>(to + i) = wide;
      }
    } else {
#pragma unroll
      for (int e = 0; e < kPack<T>; ++e) to[e * kColumnStep] = A(pack.at[e]);
    }
  }
}

// The same of an x whose rows or columns are dense.
template <int kThreads, int kRows, int kColumns, int kRowStep, int kColumnStep, class T>
__device__ inline void load_tile(const Matrix<T>& x, int64_t row, int64_t column, Acc<T>* tile) {
  if (x.column_stride == 1) {
    load_rows<kThreads, kRows, kColumns, kRowStep, kColumnStep>(x, row, column, tile);
  } else {
    load_rows<kThreads, kColumns, kRows, kColumnStep, kRowStep>(x.transposed(), column, row, tile);
  }
}

// Writes N neighbours of a row of C, `column` being a multiple of N: in one store where they are aligned.
template <int N, class T, int kM, int kN>
__device__ inline void put_pack(const Tile<T, kM, kN>& tile, const Gemm<T, T>& g, int64_t row, int64_t column,
                                const Acc<T>* sums) {
  if (!tile.has(g, row, column + N - 1) ||
      reinterpret_cast<uintptr_t>(tile.address(g, row, column)) % sizeof(Pack<T, N>) != 0) {
#pragma unroll
    for (int i = 0; i < N; ++i) tile.put(g, row, column + i, sums[i]);
    return;
  }
  Pack<T, N> pack;
#pragma unroll
  for (int i = 0; i < N; ++i) pack.at[i] = tile.value(g, row, column + i, sums[i]);
  pack_at<N>(tile.address(g, row, column)) = pack;
}

}  // namespace galvan::ladder
