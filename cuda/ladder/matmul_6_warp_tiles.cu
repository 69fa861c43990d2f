// Matrix product, rung 6: between block and thread comes the warp, with a tile of its own.
// Changed  a block's tile is (128, 64), for 4 warps with (64, 32) each; a lane has 4 pieces (4, 4) of its warp's, 32 rows
//          and 16 columns apart
// Helps    64 multiplications take 4 packs from shared memory instead of 8; a warp reads the same few rows and columns
//          all along; and the larger tile asks global memory for B half as often
// Costs    64 sums in registers; half the threads, with more for each to do
// Memory   asked for are A n / 64 times and B m / 128 times; distinct A, B and C once
// Launch   4 warps for 128 x 64 elements
// Figure   shared transactions, in README.md
#include "cuda/ladder/matmul_packs.h"
#include "cuda/warp.h"

namespace galvan::ladder {
namespace {

constexpr int kEach = 4, kPieces = 2;  // rows and columns of a piece, and pieces of a lane either way
constexpr int kLaneRows = 8, kLaneColumns = 4;  // how a warp's lanes lie
constexpr int kPieceM = kLaneRows * kEach, kPieceN = kLaneColumns * kEach;
constexpr int kWarpM = kPieceM * kPieces, kWarpN = kPieceN * kPieces;
constexpr int kThreads = 4 * 32;  // two warps either way
constexpr int kM = 2 * kWarpM, kN = 2 * kWarpN, kK = 16;

template <class T>
__global__ void __launch_bounds__(kThreads) multiply_warp_tiles(Gemm<T, T> g) {
  using A = Acc<T>;
  constexpr int kStrideA = kM + kEach, kStrideB = kN + kEach;
  GALVAN_SHARED(Pack<A>[kK][kStrideA / kEach], a_tile);  // (k, m)
  GALVAN_SHARED(Pack<A>[kK][kStrideB / kEach], b_tile);  // (k, n)
  const Tile<T, kM, kN> tile(g);
  const int row = warp_id() / 2 * kWarpM + lane_id() / kLaneColumns * kEach;
  const int column = warp_id() % 2 * kWarpN + lane_id() % kLaneColumns * kEach;
  A sum[kPieces][kPieces][kEach][kEach] = {};  // of rows row + 32 p + i and columns column + 16 q + j
  for (int64_t k0 = 0; k0 < g.k; k0 += kK) {
    load_tile<kThreads, kM, kK, 1, kStrideA>(tile.a, tile.first_row, k0, a_tile[0][0].at);
    load_tile<kThreads, kK, kN, kStrideB, 1>(tile.b, k0, tile.first_column, b_tile[0][0].at);
    __syncthreads();  // the tiles are there before they are read
#pragma unroll 4
    for (int k = 0; k < kK; ++k) {
      Pack<A> a[kPieces], b[kPieces];
#pragma unroll
      for (int p = 0; p < kPieces; ++p) a[p] = pack_at<kEach>(a_tile[k][(row + kPieceM * p) / kEach].at);
#pragma unroll
      for (int q = 0; q < kPieces; ++q) b[q] = pack_at<kEach>(b_tile[k][(column + kPieceN * q) / kEach].at);
#pragma unroll
      for (int p = 0; p < kPieces; ++p)
#pragma unroll
        for (int q = 0; q < kPieces; ++q)
#pragma unroll
          for (int i = 0; i < kEach; ++i)
#pragma unroll
            for (int j = 0; j < kEach; ++j) sum[p][q][i][j] += a[p].at[i] * b[q].at[j];
    }
    __syncthreads();  // all have read them before they are overwritten
  }
#pragma unroll
  for (int p = 0; p < kPieces; ++p)
#pragma unroll
    for (int q = 0; q < kPieces; ++q)
#pragma unroll
      for (int i = 0; i < kEach; ++i)
        put_pack<kEach>(tile, g, tile.first_row + row + kPieceM * p + i,
                        tile.first_column + column + kPieceN * q, sum[p][q][i]);
}

}  // namespace

template <class T>
void matmul_warp_tiles(cudaStream_t stream, const Gemm<T, T>& g) {
  launch<multiply_warp_tiles<T>>(blocks_of<kM, kN>(g), kThreads, 0, stream, g);
}
template void matmul_warp_tiles(cudaStream_t, const Gemm<float, float>&);
template void matmul_warp_tiles(cudaStream_t, const Gemm<bfloat16, bfloat16>&);

}  // namespace galvan::ladder
