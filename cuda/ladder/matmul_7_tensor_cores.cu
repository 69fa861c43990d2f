// Matrix product, rung 7: a warp multiplies blocks of 16 x 16 by 16 x 8 on tensor cores (mma.sync).
// Changed  tiles stay bfloat16, each as its matrix lies in memory, and come to registers by ldmatrix, which turns those
//          that lie the other way; a warp's tile (64, 32) is 4 x 4 results of mma, in f32
// Helps    an instruction of a warp is 2,048 multiplications instead of 32; and a tile has half the bytes
// Costs    bfloat16 alone: TF32, which tensor cores would make of floats, has 10 bits of fraction
// Memory   asked for are A n / 64 times and B m / 128 times; distinct A, B and C once
// Launch   4 warps for 128 x 64 elements
// Figure   shared transactions, in README.md
#include "cuda/ladder/matmul_packs.h"
#include "cuda/ptx.h"
#include "cuda/warp.h"

namespace galvan::ladder {
namespace {

constexpr int kWarpM = 64, kWarpN = 32;
constexpr int kThreads = 4 * 32;  // two warps either way
constexpr int kM = 2 * kWarpM, kN = 2 * kWarpN, kK = 32;
constexpr int kPad =
    8;  // elements after a row: 8 rows' packs, which ldmatrix reads together, lie in different banks

// A tile (kRows, kColumns) of a matrix in shared memory, by rows or, where the matrix lies so, by columns.
template <int kRows, int kColumns>
struct Operand {
  static constexpr int kSize = kRows * (kColumns + kPad) > kColumns*(kRows + kPad) ? kRows*(kColumns + kPad)
                                                                                   : kColumns*(kRows + kPad);
  bfloat16* tile;
  bool by_rows;

  __device__ void load(const Matrix<bfloat16>& x, int64_t row, int64_t column) const {
    by_rows ? load_lines<kRows, kColumns>(x, row, column)
            : load_lines<kColumns, kRows>(x.transposed(), column, row);
  }

  // Four matrices of 8 x 8 from (row, column) on: r[0], below it r[1], beside them r[2] and r[3]; by rows, or by columns
  // where `across` is false.
  __device__ void fragment(uint32_t (&r)[4], int row, int column, bool across) const {
    const int line = lane_id() % 8;
    row += lane_id() / 8 % 2 * 8;
    column += lane_id() / 16 * 8;
    const bfloat16* const from =
        tile + (by_rows ? (row + line) * (kColumns + kPad) + column : (column + line) * (kRows + kPad) + row);
    by_rows == across ? ldmatrix_x4(r, from) : ldmatrix_x4_transposed(r, from);
  }

 private:
  template <int kLines, int kLength>
  __device__ void load_lines(const Matrix<bfloat16>& x, int64_t line, int64_t first) const {
    constexpr int kPacks = kLength / kPack<bfloat16>;
    for (int p = static_cast<int>(threadIdx.x); p < kLines * kPacks; p += kThreads) {
      const int l = p / kPacks, c = p % kPacks * kPack<bfloat16>;
      pack_at<kPack<bfloat16>>(tile + l * (kLength + kPad) + c) = pack_of(x, line + l, first + c);
    }
  }
};

__global__ void __launch_bounds__(kThreads) multiply_tensor_cores(Gemm<bfloat16, bfloat16> g) {
  using A = Operand<kM, kK>;
  using B = Operand<kK, kN>;
  GALVAN_SHARED(Pack<bfloat16>[A::kSize / 8], a_tile);
  GALVAN_SHARED(Pack<bfloat16>[B::kSize / 8], b_tile);
  const A a{a_tile[0].at, !g.transpose_a};
  const B b{b_tile[0].at, !g.transpose_b};
  const Tile<bfloat16, kM, kN> tile(g);
  const int row = warp_id() / 2 * kWarpM, column = warp_id() % 2 * kWarpN;
  float sum[kWarpM / 16][kWarpN / 8][4] = {};
  for (int64_t k0 = 0; k0 < g.k; k0 += kK) {
    a.load(tile.a, tile.first_row, k0);
    b.load(tile.b, k0, tile.first_column);
    __syncthreads();  // the tiles are there before they are read
#pragma unroll
    for (int k = 0; k < kK; k += 16) {
      uint32_t right[kWarpN / 16][4];
#pragma unroll
      for (int j = 0; j < kWarpN / 16; ++j) b.fragment(right[j], k, column + 16 * j, false);
#pragma unroll
      for (int i = 0; i < kWarpM / 16; ++i) {
        uint32_t left[4];
        a.fragment(left, row + 16 * i, k, true);
#pragma unroll
        for (int j = 0; j < kWarpN / 8; ++j)
          mma_m16n8k16(sum[i][j], left, right[j / 2][j % 2 * 2], right[j / 2][j % 2 * 2 + 1]);
      }
    }
    __syncthreads();  // all have read them before they are overwritten
  }
#pragma unroll
  for (int i = 0; i < kWarpM / 16; ++i)
#pragma unroll
    for (int j = 0; j < kWarpN / 8; ++j)
#pragma unroll
      for (int half = 0; half < 2; ++half)
        put_pack<2>(tile, g, tile.first_row + row + 16 * i + lane_id() / 4 + 8 * half,
                    tile.first_column + column + 8 * j + lane_id() % 4 * 2, sum[i][j] + 2 * half);
}

}  // namespace

template <class T>
void matmul_tensor_cores(cudaStream_t stream, const Gemm<T, T>& g) {
  if constexpr (std::is_same_v<T, float>) {
    matmul_warp_tiles(stream, g);
  } else {
    launch<multiply_tensor_cores>(blocks_of<kM, kN>(g), kThreads, 0, stream, g);
  }
}
template void matmul_tensor_cores(cudaStream_t, const Gemm<float, float>&);
template void matmul_tensor_cores(cudaStream_t, const Gemm<bfloat16, bfloat16>&);

}  // namespace galvan::ladder
