// Matrix product, rung 3: a block brings tiles of A and B to shared memory, where all its threads read them.
// Changed  the loop over k goes in steps of 16; in each, a thread fetches one element of A and one of B for all
// Helps    what the 16 threads of a row or column need is asked of global memory once
// Costs    two barriers a step, and 2 KiB of shared memory
// Memory   asked for are A n / 16 times and B m / 16 times; distinct A, B and C once
// Launch   16 x 16 threads for 16 x 16 elements
// Figure   bytes asked for, in README.md
#include "cuda/ladder/matmul.h"

namespace galvan::ladder {
namespace {

constexpr int kSide = 16;

template <class T>
__global__ void multiply_shared_tiles(Gemm<T, T> g) {
  using A = Acc<T>;
  GALVAN_SHARED(A[kSide][kSide], a_tile);  // (m, k)
  GALVAN_SHARED(A[kSide][kSide], b_tile);  // (k, n)
  const Tile<T, kSide, kSide> tile(g);
  const int tx = static_cast<int>(threadIdx.x), ty = static_cast<int>(threadIdx.y);
  const int64_t row = tile.first_row + ty, column = tile.first_column + tx;
  A sum = 0;
  for (int64_t k0 = 0; k0 < g.k; k0 += kSide) {
    a_tile[ty][tx] = tile.a.at(row, k0 + tx);
    b_tile[ty][tx] = tile.b.at(k0 + ty, column);
    __syncthreads();  // the tiles are there before they are read
#pragma unroll
    for (int k = 0; k < kSide; ++k) sum += a_tile[ty][k] * b_tile[k][tx];
    __syncthreads();  // all have read them before they are overwritten
  }
  tile.put(g, row, column, sum);
}

}  // namespace

template <class T>
void matmul_shared_tiles(cudaStream_t stream, const Gemm<T, T>& g) {
  launch<multiply_shared_tiles<T>>(blocks_of<kSide, kSide>(g), dim3(kSide, kSide), 0, stream, g);
}
template void matmul_shared_tiles(cudaStream_t, const Gemm<float, float>&);
template void matmul_shared_tiles(cudaStream_t, const Gemm<bfloat16, bfloat16>&);

}  // namespace galvan::ladder
