// The ladder of matrix products, C = op(A) op(B) [+ bias] [+ C] in float and bfloat16, from the lowest rung up; and what
// its rungs share, so that a rung's file shows its one idea. What is counted of each: README.md.
#pragma once

#include "core/gemm_layout.h"
#include "cuda/dialect.h"

namespace galvan::ladder {

template <class T>
void matmul_naive(cudaStream_t stream, const Gemm<T, T>& g);
template <class T>
void matmul_coalesced(cudaStream_t stream, const Gemm<T, T>& g);
template <class T>
void matmul_shared_tiles(cudaStream_t stream, const Gemm<T, T>& g);
template <class T>
void matmul_register_tiles(cudaStream_t stream, const Gemm<T, T>& g);
template <class T>
void matmul_vector_loads(cudaStream_t stream, const Gemm<T, T>& g);
template <class T>
void matmul_warp_tiles(cudaStream_t stream, const Gemm<T, T>& g);
// bfloat16 alone is for tensor cores here: float is for the rung below.
template <class T>
void matmul_tensor_cores(cudaStream_t stream, const Gemm<T, T>& g);

// op(A) or op(B), one of a batch. One of its strides is 1.
template <class T>
struct Matrix {
  const T* data;
  int64_t rows, columns, row_stride, column_stride;

  // 0 outside.
  __device__ Acc<T> at(int64_t row, int64_t column) const {
    if (row >= rows || column >= columns) return 0;
    return Acc<T>(data[row * row_stride + column * column_stride]);
  }
  __device__ Matrix transposed() const { return {data, columns, rows, column_stride, row_stride}; }
};

// A block makes a tile (kM, kN) of one C of the batch.
template <int kM, int kN, class T>
unsigned blocks_of(const Gemm<T, T>& g) {
  return static_cast<unsigned>(g.batch * ((g.m + kM - 1) / kM) * ((g.n + kN - 1) / kN));
}

template <class T, int kM, int kN>
struct Tile {
  Matrix<T> a, b;                   // op(A) (m, k) and op(B) (k, n)
  int64_t first_row, first_column;  // of C, where the tile begins
  int64_t c_offset;                 // of this C

  __device__ explicit Tile(const Gemm<T, T>& g) {
    const int64_t across = (g.n + kN - 1) / kN, down = (g.m + kM - 1) / kM;
    const int64_t batch = blockIdx.x / across / down;
    first_row = blockIdx.x / across % down * kM;
    first_column = blockIdx.x % across * kN;
    a = {g.a + batch * g.batch_stride_a, g.m, g.k, g.transpose_a ? 1 : g.lda, g.transpose_a ? g.lda : 1};
    b = {g.b + batch * g.batch_stride_b, g.k, g.n, g.transpose_b ? 1 : g.ldb, g.transpose_b ? g.ldb : 1};
    c_offset = batch * g.batch_stride_c;
  }

  __device__ bool has(const Gemm<T, T>& g, int64_t row, int64_t column) const {
    return row < g.m && column < g.n;
  }
  __device__ T* address(const Gemm<T, T>& g, int64_t row, int64_t column) const {
    return g.c + c_offset + row * g.ldc + column;
  }
  // What an element of C becomes whose sum over k is `sum`.
  __device__ T value(const Gemm<T, T>& g, int64_t row, int64_t column, Acc<T> sum) const {
    if (g.bias) sum += Acc<T>(g.bias[column]);
    if (g.accumulate) sum += Acc<T>(*address(g, row, column));
    return T(sum);
  }
  // Writes it; nothing outside.
  __device__ void put(const Gemm<T, T>& g, int64_t row, int64_t column, Acc<T> sum) const {
    if (has(g, row, column)) *address(g, row, column) = value(g, row, column, sum);
  }
};

}  // namespace galvan::ladder
