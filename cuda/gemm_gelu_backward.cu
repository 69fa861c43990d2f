// GELU's gradient in the product that makes its upstream, in bfloat16 on tensor cores: no pass over memory of its own.
//   C = (A B) gelu'(kept)          dbias = sum_m C
// Shapes   A [m, k], B [k, n], kept and C [m, n], dbias [n]
// Memory   A, B and kept once, C once, and sums for each block of rows. Asked for, from L2: A by every kN columns, B by
//          every block of rows
// Compute  2 m n k FLOPs, and about 20 for an element of C
// Launch   8 warps for kN columns and kM rows, or every so manieth kM rows where there are more than row_blocks(m). B's
//          columns stay in shared memory, for which k is at most kMostDepth; of A kStep columns come at a time
#include "cuda/gemm_gelu_backward.h"

#include <algorithm>
#include <bit>

#include "core/pointwise.h"
#include "cuda/column_sums.h"
#include "cuda/ptx.h"
#include "cuda/tiles.h"
#include "cuda/warp.h"

namespace galvan::fused {
namespace {

constexpr int kM = 128, kN = 64, kStep = 64;
constexpr int kThreads = 8 * 32;  // four warps down, two across
constexpr int kWarpM = kM / 4, kWarpN = kN / 2;
// From one row of a tile to the next: 8 rows' packs, which ldmatrix reads together, lie in different banks.
constexpr int kStride = 64 + 8;
static_assert(kN == 64 && kStep == 64);
// Whose tiles have room in the 99 KiB that a block may have on cards of compute capability 8.6, 8.9 and 12.0.
constexpr int64_t kMostDepth = 256;
// Of more, cublasLt's product and a pass over its result are as fast (on an H100).
constexpr int64_t kMostElements = int64_t{1} << 20;

constexpr int steps_of(int64_t k) { return static_cast<int>((k + kStep - 1) / kStep); }

// kept's tile, which becomes C's; two of A, in use and to come; and B's.
size_t shared_bytes(int64_t k) {
  return sizeof(bfloat16) * kStride * (3 * kM + static_cast<size_t>(steps_of(k)) * kStep);
}

// The sums of a warp's columns over the block's rows, four warps of which have the same columns.
__device__ inline void store_sums(const float (&sums)[kWarpN / 8][2], int column, int column_end,
                                  float* partial) {
  GALVAN_SHARED(float[4][kN], of_warps);
#pragma unroll
  for (int j = 0; j < kWarpN / 8; ++j) {
#pragma unroll
    for (int e = 0; e < 2; ++e) {
      float sum = sums[j][e];
      for (int flip = 16; flip > 2; flip /= 2) sum += __shfl_xor_sync(kAllLanes, sum, flip);
      if (lane_id() < 4) of_warps[warp_id() / 2][warp_id() % 2 * kWarpN + 8 * j + lane_id() * 2 + e] = sum;
    }
  }
  __syncthreads();  // every warp's sums are there before they are added
  const int c = static_cast<int>(threadIdx.x);
  if (c < kN && column + c < column_end)
    partial[int64_t{blockIdx.y} * column_end + column + c] =
        (of_warps[0][c] + of_warps[1][c]) + (of_warps[2][c] + of_warps[3][c]);
}

__device__ void multiply_through_gelu(Gemm<bfloat16, bfloat16> g, const bfloat16* kept, float* partial) {
  bfloat16* const z_tile = dynamic_shared<bfloat16>();
  bfloat16* const a_tiles = z_tile + kM * kStride;
  bfloat16* const b_tile = a_tiles + 2 * kM * kStride;
  const int m = static_cast<int>(g.m), n = static_cast<int>(g.n), k = static_cast<int>(g.k);
  const int first_column = static_cast<int>(blockIdx.x) * kN, steps = steps_of(k);
  const int row = warp_id() / 2 * kWarpM, column = warp_id() % 2 * kWarpN;  // of the warp, in the tile
  const auto fetch_a = [&](int first_row, int step, int stage) {
    fetch_tile<kM, kStep, kStride, kThreads>(g.a + first_row * g.lda + step * kStep, g.lda, m - first_row,
                                             k - step * kStep, a_tiles + stage * kM * kStride);
  };

  float column_sums[kWarpN / 8][2] = {};
  int stage = 0;
  for (int step = 0; step < steps; ++step)
    fetch_tile<kStep, kN, kStride, kThreads>(g.b + step * kStep * g.ldb + first_column, g.ldb,
                                             k - step * kStep, n - first_column,
                                             b_tile + step * kStep * kStride);
  fetch_a(static_cast<int>(blockIdx.y) * kM, 0, stage);
  cp_async_commit();
  for (int first_row = static_cast<int>(blockIdx.y) * kM, next_row; first_row < m; first_row = next_row) {
    next_row = first_row + static_cast<int>(gridDim.y) * kM;
    float sums[kWarpM / 16][kWarpN / 8][4] = {};
    for (int step = 0; step < steps; ++step, stage ^= 1) {
      cp_async_wait<0>();
      __syncthreads();  // these tiles are there for all, and all have done with those that are fetched now
      if (step == 0)
        fetch_tile<kM, kN, kStride, kThreads>(kept + int64_t{first_row} * n + first_column, n, m - first_row,
                                              n - first_column, z_tile);
      if (step + 1 < steps) {
        fetch_a(first_row, step + 1, stage ^ 1);
      } else if (next_row < m) {
        fetch_a(next_row, 0, stage ^ 1);
      }
      cp_async_commit();
      const bfloat16* const left =
          a_tiles + (stage * kM + row + lane_id() % 16) * kStride + lane_id() / 16 * 8;
      const bfloat16* const right =
          b_tile + (step * kStep + lane_id() % 16) * kStride + column + lane_id() / 16 * 8;
#pragma unroll
      for (int i = 0; i < kStep; i += 16) {
        uint32_t b[kWarpN / 16][4];
#pragma unroll
        for (int j = 0; j < kWarpN / 16; ++j) ldmatrix_x4_transposed(b[j], right + i * kStride + 16 * j);
#pragma unroll
        for (int r = 0; r < kWarpM / 16; ++r) {
          uint32_t a[4];
          ldmatrix_x4(a, left + 16 * r * kStride + i);
#pragma unroll
          for (int j = 0; j < kWarpN / 8; ++j)
            mma_m16n8k16(sums[r][j], a, b[j / 2][j % 2 * 2], b[j / 2][j % 2 * 2 + 1]);
        }
      }
    }
    if (steps == 1) {
      cp_async_wait<0>();
      __syncthreads();  // kept's tile is there for all, which with more steps it has been since the last
    }
#pragma unroll
    for (int r = 0; r < kWarpM / 16; ++r) {
#pragma unroll
      for (int j = 0; j < kWarpN / 8; ++j) {
#pragma unroll
        for (int half = 0; half < 2; ++half) {
          auto& pair = pack_at<2>(z_tile + (row + 16 * r + lane_id() / 4 + 8 * half) * kStride + column +
                                  8 * j + lane_id() % 4 * 2);
          float d[2];
#pragma unroll
          for (int e = 0; e < 2; ++e) {
            d[e] = sums[r][j][2 * half + e] * GeluTanh().derivative(float(pair.at[e]));
            column_sums[j][e] += d[e];
          }
          pair = std::bit_cast<Pack<bfloat16, 2>>(pack_bf16(d[0], d[1]));
        }
      }
    }
    __syncthreads();  // all of C's tile is there before it is stored
    const int r = static_cast<int>(threadIdx.x) / 8, c = static_cast<int>(threadIdx.x) % 8 * 8;
    bfloat16* const to = g.c + (first_row + r) * g.ldc + first_column + c;
#pragma unroll
    for (int i = 0; i < kM; i += kThreads / 8)
      if (first_row + r + i < m && first_column + c < n)
        pack_at<8>(to + i * g.ldc) = pack_at<8>(z_tile + (r + i) * kStride + c);
  }
  if (partial) store_sums(column_sums, first_column, n, partial);
}

}  // namespace

bool takes(const Gemm<bfloat16, bfloat16>& g, const bfloat16* kept) {
  const auto whole = [](int64_t stride, const bfloat16* x) { return packs_are_whole<bfloat16>(stride, {x}); };
  return g.m > 0 && g.n > 0 && g.m * g.n <= kMostElements && g.k > 0 && g.k <= kMostDepth && g.k % 8 == 0 &&
         g.batch == 1 && !g.transpose_a && !g.transpose_b && !g.bias && !g.accumulate && whole(g.lda, g.a) &&
         whole(g.ldb, g.b) && whole(g.ldc, g.c) && whole(g.n, kept);
}

void gemm_gelu_backward(Cuda on, const Gemm<bfloat16, bfloat16>& g, const bfloat16* kept, bfloat16* dbias,
                        float* partial) {
  const int64_t blocks = std::min<int64_t>(blocks_for(g.m, kM), row_blocks(g.m));
  launch_body<multiply_through_gelu, Body{.threads = kThreads, .blocks = 3}>(
      dim3(blocks_for(g.n, kN), static_cast<unsigned>(blocks)), kThreads, shared_bytes(g.k), on.stream, g,
      kept, dbias ? partial : nullptr);
  if (dbias) add_blocks(on, partial, blocks, g.n, dbias);
}

}  // namespace galvan::fused
