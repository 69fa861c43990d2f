// Matrix product, rung 1: a thread an element of C, as the formula says.
//   C[row, column] = sum_k op(A)[row, k] op(B)[k, column]
// Changed  (the lowest rung)
// Costs    a warp's neighbouring threads have neighbouring rows: at each k they read 16 elements of A that lie a row
//          apart, a sector of 32 bytes for each of 4, and write C the same way
// Memory   asked for are A n / 2 times and B m / 16 times, for a warp has 16 rows of 2 columns; distinct A, B and C once
// Launch   16 x 16 threads for 16 x 16 elements
// Figure   uncoalesced requests, in README.md
#include "cuda/ladder/matmul.h"

namespace galvan::ladder {
namespace {

constexpr int kSide = 16;

template <class T>
__global__ void multiply_naive(Gemm<T, T> g) {
  const Tile<T, kSide, kSide> tile(g);
  const int64_t row = tile.first_row + threadIdx.x, column = tile.first_column + threadIdx.y;
  Acc<T> sum = 0;
  for (int64_t k = 0; k < g.k; ++k) sum += tile.a.at(row, k) * tile.b.at(k, column);
  tile.put(g, row, column, sum);
}

}  // namespace

template <class T>
void matmul_naive(cudaStream_t stream, const Gemm<T, T>& g) {
  launch<multiply_naive<T>>(blocks_of<kSide, kSide>(g), dim3(kSide, kSide), 0, stream, g);
}
template void matmul_naive(cudaStream_t, const Gemm<float, float>&);
template void matmul_naive(cudaStream_t, const Gemm<bfloat16, bfloat16>&);

}  // namespace galvan::ladder
