// Sums over the rows of a matrix [R, C], for gradients of weights and biases: row_blocks(R) blocks of rows are
// summed each by itself into a scratch [blocks, C], then block after block. The order depends on R alone; that of other
// numbers of blocks, which a kernel may have for small products or replicas, on what its head says.
#pragma once

#include "core/kernels.h"
#include "cuda/pack.h"
#include "cuda/replicas.h"

namespace galvan {

inline constexpr int kColumnWarps = 8;

// A replica's sum of at most so many rows is one block's (sum_rows_one_block, cuda/reduce.cu).
inline constexpr int64_t kRowsOfReplica = 4096;

// The launch for a matrix of T: blocks of kColumnWarps warps, x being a tile of columns (a pack a lane), y a
// block of rows.
template <class T>
dim3 column_grid(int64_t rows, int64_t columns) {
  return {blocks_for(columns, 32 * kPack<T>), static_cast<unsigned>(row_blocks(rows))};
}

// The rows of the calling block that this warp sums are first, first + kColumnWarps, ... below end; or so many at a time,
// from first and every kColumnWarps times as many further on.
struct RowRange {
  int64_t first, end;
};
__device__ inline RowRange rows_of_warp(int64_t rows, int at_a_time = 1) {
  const int64_t block_rows = (rows + gridDim.y - 1) / gridDim.y, begin = blockIdx.y * block_rows;
  const int64_t end = begin + block_rows;
  return {begin + threadIdx.x / 32 * at_a_time, end < rows ? end : rows};
}

// The first column of this thread's pack.
template <class T>
__device__ inline int64_t column_of_thread() {
  return (int64_t{blockIdx.x} * 32 + threadIdx.x % 32) * kPack<T>;
}

// partial[blockIdx.y, c...] = the sums of the block's warps, in order. May be called again right away.
template <class A, int N>
__device__ inline void store_column_sums(const Pack<A, N>& sums, A* partial, int64_t columns) {
  GALVAN_SHARED(A[kColumnWarps][32 * N], of_warp);
  const int first = static_cast<int>(threadIdx.x % 32) * N;
#pragma unroll
  for (int i = 0; i < N; ++i) of_warp[threadIdx.x / 32][first + i] = sums.at[i];
  __syncthreads();  // every warp's sums are written before they are read
  for (int i = static_cast<int>(threadIdx.x); i < 32 * N; i += kColumnWarps * 32) {
    const int64_t c = int64_t{blockIdx.x} * 32 * N + i;
    A sum = 0;
    for (int w = 0; w < kColumnWarps; ++w) sum += of_warp[w][i];
    if (c < columns) partial[blockIdx.y * columns + c] = sum;
  }
  __syncthreads();  // all have read before the next call writes
}

// The sum of a column of partial [blocks, C], from its first element.
template <class A>
__device__ inline A sum_of_blocks(const A* first, int64_t blocks, int64_t columns) {
  A sum = 0;
#pragma unroll 16  // so many are read at once
  for (int64_t b = 0; b < blocks; ++b) sum += first[b * columns];
  return sum;
}

// The sum of a column of partial [blocks, C], 32 columns a block: a warp's lanes have neighbouring ones, and each of kStrands
// warps a part of the blocks. finish(c, sum) is called once for each.
inline constexpr int kStrands = 16;
template <class A, class Finish>
__device__ inline void sum_by_strands(const A* partial, int64_t blocks, int64_t columns,
                                      const Finish& finish) {
  GALVAN_SHARED(A[kStrands][32], of_strand);
  const int64_t c = int64_t{blockIdx.x} * 32 + threadIdx.x % 32;
  const int64_t strand = threadIdx.x / 32, part = (blocks + kStrands - 1) / kStrands, first = strand * part;
  const int64_t count = first + part < blocks ? part : blocks - first;
  if (c < columns)
    of_strand[strand][threadIdx.x % 32] = sum_of_blocks(partial + first * columns + c, count, columns);
  __syncthreads();  // every strand's sum is written before it is read
  if (strand > 0 || c >= columns) return;
  A sum = 0;
  for (int i = 0; i < kStrands; ++i) sum += of_strand[i][threadIdx.x % 32];
  finish(c, sum);
}

template <class T>
__device__ void sum_row_blocks(const Acc<T>* partial, int64_t blocks, int64_t columns, T* y, T* y2) {
  if (blockIdx.y == 1) {
    partial += blocks * columns;
    y = y2;
  }
  sum_by_strands(partial, blocks, columns, [y](int64_t c, Acc<T> sum) { y[c] = T(sum); });
}

// y [C] = the sum over the blocks of partial [blocks, C]; 0 where there are none. Likewise y2, unless it is null, of the
// partial sums that follow.
template <class T>
void add_blocks(Cuda on, const Acc<T>* partial, int64_t blocks, int64_t columns, T* y, T* y2 = nullptr) {
  const dim3 grid(blocks_for(columns, 32), y2 ? 2 : 1);
  launch_body<sum_row_blocks<T>, Body{.replicas = kReplicated<T>}>(grid, kStrands * 32, 0, on.stream, partial,
                                                                   blocks, columns, y, y2);
}
template <class T>
void add_row_blocks(Cuda on, const Acc<T>* partial, int64_t rows, int64_t columns, T* y, T* y2 = nullptr) {
  add_blocks(on, partial, row_blocks(rows), columns, y, y2);
}

}  // namespace galvan
