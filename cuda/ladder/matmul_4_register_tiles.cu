// Matrix product, rung 4: a thread makes 4 x 4 elements of C, so that what it reads of the tiles serves 4 times.
// Changed  a block's tile is (64, 64), of which a thread has every 16th row and column
// Helps    16 multiplications take 8 numbers from shared memory instead of 32; and the larger tile asks global memory
//          for a quarter
// Costs    16 sums and 8 factors in registers; 8 KiB of shared memory; a C with less than 64 rows or columns leaves
//          threads idle
// Memory   asked for are A n / 64 times and B m / 64 times; distinct A, B and C once
// Launch   16 x 16 threads for 64 x 64 elements
// Figure   shared transactions and bytes asked for, in README.md
#include "cuda/ladder/matmul.h"

namespace galvan::ladder {
namespace {

constexpr int kSide = 16, kThreads = kSide * kSide;
constexpr int kEach = 4;  // rows and columns of a thread
constexpr int kM = kSide * kEach, kN = kSide * kEach, kK = 16;

template <class T>
__global__ void multiply_register_tiles(Gemm<T, T> g) {
  using A = Acc<T>;
  GALVAN_SHARED(A[kM][kK], a_tile);  // (m, k)
  GALVAN_SHARED(A[kK][kN], b_tile);  // (k, n)
  const Tile<T, kM, kN> tile(g);
  const int thread = static_cast<int>(threadIdx.x), tx = thread % kSide, ty = thread / kSide;
  A sum[kEach][kEach] = {};  // of rows ty + 16 i and columns tx + 16 j
  for (int64_t k0 = 0; k0 < g.k; k0 += kK) {
    for (int i = thread; i < kM * kK; i += kThreads)
      a_tile[i / kK][i % kK] = tile.a.at(tile.first_row + i / kK, k0 + i % kK);
    for (int i = thread; i < kK * kN; i += kThreads)
      b_tile[i / kN][i % kN] = tile.b.at(k0 + i / kN, tile.first_column + i % kN);
    __syncthreads();  // the tiles are there before they are read
#pragma unroll
    for (int k = 0; k < kK; ++k) {
      A a[kEach], b[kEach];
#pragma unroll
      for (int i = 0; i < kEach; ++i) a[i] = a_tile[ty + kSide * i][k];
#pragma unroll
      for (int j = 0; j < kEach; ++j) b[j] = b_tile[k][tx + kSide * j];
#pragma unroll
      for (int i = 0; i < kEach; ++i)
#pragma unroll
        for (int j = 0; j < kEach; ++j) sum[i][j] += a[i] * b[j];
    }
    __syncthreads();  // all have read them before they are overwritten
  }
#pragma unroll
  for (int i = 0; i < kEach; ++i)
#pragma unroll
    for (int j = 0; j < kEach; ++j)
      tile.put(g, tile.first_row + ty + kSide * i, tile.first_column + tx + kSide * j, sum[i][j]);
}

}  // namespace

template <class T>
void matmul_register_tiles(cudaStream_t stream, const Gemm<T, T>& g) {
  launch<multiply_register_tiles<T>>(blocks_of<kM, kN>(g), kThreads, 0, stream, g);
}
template void matmul_register_tiles(cudaStream_t, const Gemm<float, float>&);
template void matmul_register_tiles(cudaStream_t, const Gemm<bfloat16, bfloat16>&);

}  // namespace galvan::ladder
