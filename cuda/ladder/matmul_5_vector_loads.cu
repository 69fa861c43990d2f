// Matrix product, rung 5: memory is read and written several elements at a time.
// Changed  a thread has 4 rows and 4 columns side by side; A's tile lies column by column, so that they are one pack of
//          either; tiles come by packs, and C goes by packs (matmul_packs.h), where rows are aligned, by elements elsewhere
// Helps    a quarter of the loads, of shared and of global memory
// Costs    A's elements are scattered as they are stored, with bank conflicts; a pack of padding a row
// Memory   asked for are A n / 64 times and B m / 64 times; distinct A, B and C once
// Launch   16 x 16 threads for 64 x 64 elements
// Figure   requests to either memory, in README.md
#include "cuda/ladder/matmul_packs.h"

namespace galvan::ladder {
namespace {

constexpr int kSide = 16, kThreads = kSide * kSide;
constexpr int kEach = 4;  // rows and columns of a thread
constexpr int kM = kSide * kEach, kN = kSide * kEach, kK = 16;

template <class T>
__global__ void multiply_vector_loads(Gemm<T, T> g) {
  using A = Acc<T>;
  constexpr int kStride = kM + kEach;
  GALVAN_SHARED(Pack<A>[kK][kStride / kEach], a_tile);  // (k, m)
  GALVAN_SHARED(Pack<A>[kK][kStride / kEach], b_tile);  // (k, n)
  const Tile<T, kM, kN> tile(g);
  const int thread = static_cast<int>(threadIdx.x), tx = thread % kSide, ty = thread / kSide;
  A sum[kEach][kEach] = {};  // of rows 4 ty + i and columns 4 tx + j
  for (int64_t k0 = 0; k0 < g.k; k0 += kK) {
    load_tile<kThreads, kM, kK, 1, kStride>(tile.a, tile.first_row, k0, a_tile[0][0].at);
    load_tile<kThreads, kK, kN, kStride, 1>(tile.b, k0, tile.first_column, b_tile[0][0].at);
    __syncthreads();  // the tiles are there before they are read
#pragma unroll
    for (int k = 0; k < kK; ++k) {
      const Pack<A> a = pack_at<kEach>(a_tile[k][ty].at), b = pack_at<kEach>(b_tile[k][tx].at);
#pragma unroll
      for (int i = 0; i < kEach; ++i)
#pragma unroll
        for (int j = 0; j < kEach; ++j) sum[i][j] += a.at[i] * b.at[j];
    }
    __syncthreads();  // all have read them before they are overwritten
  }
#pragma unroll
  for (int i = 0; i < kEach; ++i)
    put_pack<kEach>(tile, g, tile.first_row + kEach * ty + i, tile.first_column + kEach * tx, sum[i]);
}

}  // namespace

template <class T>
void matmul_vector_loads(cudaStream_t stream, const Gemm<T, T>& g) {
  launch<multiply_vector_loads<T>>(blocks_of<kM, kN>(g), kThreads, 0, stream, g);
}
template void matmul_vector_loads(cudaStream_t, const Gemm<float, float>&);
template void matmul_vector_loads(cudaStream_t, const Gemm<bfloat16, bfloat16>&);

}  // namespace galvan::ladder
