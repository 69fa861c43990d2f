// Matrix product, rung 2: neighbouring threads make neighbouring elements of a row of C.
// Changed  threadIdx.x counts columns, threadIdx.y rows
// Helps    at each k a warp reads 2 elements of A and 16 neighbours of a row of B, and writes C in whole sectors
// Costs    nothing
// Memory   asked for are A n / 16 times and B m / 2 times; distinct A, B and C once
// Launch   16 x 16 threads for 16 x 16 elements
// Figure   uncoalesced requests and sectors, in README.md
#include "cuda/ladder/matmul.h"

namespace galvan::ladder {
namespace {

constexpr int kSide = 16;

template <class T>
__global__ void multiply_coalesced(Gemm<T, T> g) {
  const Tile<T, kSide, kSide> tile(g);
  const int64_t row = tile.first_row + threadIdx.y, column = tile.first_column + threadIdx.x;
  Acc<T> sum = 0;
  for (int64_t k = 0; k < g.k; ++k) sum += tile.a.at(row, k) * tile.b.at(k, column);
  tile.put(g, row, column, sum);
}

}  // namespace

template <class T>
void matmul_coalesced(cudaStream_t stream, const Gemm<T, T>& g) {
  launch<multiply_coalesced<T>>(blocks_of<kSide, kSide>(g), dim3(kSide, kSide), 0, stream, g);
}
template void matmul_coalesced(cudaStream_t, const Gemm<float, float>&);
template void matmul_coalesced(cudaStream_t, const Gemm<bfloat16, bfloat16>&);

}  // namespace galvan::ladder
