// What the kernels of a transformer's branches share (core/branch.h): a block keeps 64 rows of kC channels, and weights
// come by in chunks of kChunk rows or columns, of which the next is on its way while one is worked on.
#pragma once

#include <bit>

#include "core/branch.h"
#include "core/math.h"
#include "cuda/replicas.h"
#include "cuda/row_groups.h"
#include "cuda/tiles.h"

namespace galvan::branch {

using namespace tiles;

inline constexpr int kRows = 64, kChunk = 32;
inline constexpr int kHeadSize = 32;
inline constexpr float kScale = 0.17677669529663687f;  // of scores: 1 / sqrt(kHeadSize)

// Where a warp is that has 16 of a block's kRows rows, of `all` there are.
struct WarpRows {
  int64_t block_first, first;  // the block's first row, and the warp's
  int own;                     // the warp's first in the block
  int block_rows, rows;        // how many there are from either on, which may be more than its own, or none

  __device__ explicit WarpRows(int64_t all)
      : block_first(int64_t{blockIdx.x} * kRows),
        first(block_first + warp_id() * 16),
        own(warp_id() * 16),
        block_rows(static_cast<int>(all - block_first)),
        rows(block_rows - own) {}
};

// A lane's pairs of a bias [8 kTiles], zeros where it is null: on their way from memory while the product is made that they
// are added to.
template <int kTiles>
struct Bias {
  Pack<bfloat16, 2> pairs[kTiles];
  __device__ explicit Bias(const bfloat16* bias) {
#pragma unroll
    for (int n = 0; n < kTiles; ++n) {
      pairs[n] = {};
      if (bias) pairs[n] = pack_at<2>(bias + 8 * n + pair_column());
    }
  }
  __device__ void add_to(float (&sums)[kTiles][4]) const {
#pragma unroll
    for (int n = 0; n < kTiles; ++n) {
#pragma unroll
      for (int e = 0; e < 4; ++e) sums[n][e] += float(pairs[n].at[e % 2]);
    }
  }
};

// The calling lane's pair of rows' sums in a tile, from the first of 16 rows and a column on.
template <int kStride>
__device__ inline auto& pair_at(bfloat16* rows, int half, int n) {
  return pack_at<2>(rows + (pair_row() + 8 * half) * kStride + 8 * n + pair_column());
}

// A warp's 16 rows of sums to a tile, rounded.
template <int kStride, int kTiles>
__device__ inline void store_sums(const float (&sums)[kTiles][4], bfloat16* rows) {
#pragma unroll
  for (int half = 0; half < 2; ++half) {
#pragma unroll
    for (int n = 0; n < kTiles; ++n)
      pair_at<kStride>(rows, half, n) =
          std::bit_cast<Pack<bfloat16, 2>>(pack_bf16(sums[n][2 * half], sums[n][2 * half + 1]));
  }
}

// kCount rows of kColumns from a tile to memory, those below `rows`; a warp, together.
template <int kCount, int kColumns, int kStride>
__device__ inline void copy_rows(const bfloat16* tile, bfloat16* to, int64_t row_stride, int rows) {
  constexpr int kPacks = kColumns / 8;
  static_assert(kCount * kPacks % 32 == 0);
#pragma unroll
  for (int i = 0; i < kCount * kPacks; i += 32) {
    const int row = (i + lane_id()) / kPacks, column = (i + lane_id()) % kPacks * 8;
    if (row < rows) pack_at<8>(to + row * row_stride + column) = pack_at<8>(tile + row * kStride + column);
  }
}

// A lane's pack of a parameter [kC]; zeros where it is null.
__device__ inline Wide<bfloat16> parameter_pack(const bfloat16* parameter, int column, int columns) {
  return parameter ? widened<bfloat16>(load_raw<true>(parameter, column, columns)) : Wide<bfloat16>{};
}

// The end of a branch for a warp's 16 rows from `first` on, `rows` of which there are: sums (16, kC) are b with its bias,
// and the residual's rows in `tile` become those of s.
template <int kC, int kStride>
__device__ inline void end_branch(const EndForward& p, const float (&sums)[kC / 8][4], bfloat16* tile,
                                  int64_t first, int rows) {
#pragma unroll
  for (int half = 0; half < 2; ++half) {
#pragma unroll
    for (int n = 0; n < kC / 8; ++n) {
      auto& pair = pair_at<kStride>(tile, half, n);
      pair = std::bit_cast<Pack<bfloat16, 2>>(
          pack_bf16(sums[n][2 * half] + float(pair.at[0]), sums[n][2 * half + 1] + float(pair.at[1])));
    }
  }
  __syncwarp();  // the rows of s are whole before they are read
  constexpr int kLanes = kC / 8, kGroups = 32 / kLanes;
  const int column = lane_id() % kLanes * 8;
  const Wide<bfloat16> weight = parameter_pack(p.norm_weight, column, kC),
                       bias = parameter_pack(p.norm_bias, column, kC);
#pragma unroll 4  // so many rows' sums are under way at once
  for (int i = 0; i < 16; i += kGroups) {
    const int row = i + lane_id() / kLanes;
    const Raw<bfloat16> s = load_raw<true>(tile + row * kStride, column, kC);
    Wide<bfloat16> y = widened<bfloat16>(s);
    float mean = 0, squares = 0;
#pragma unroll
    for (int e = 0; e < 8; ++e) mean += y.at[e];
    mean = group_sum<kLanes>(mean) * (1.0f / kC);
#pragma unroll
    for (int e = 0; e < 8; ++e) {
      y.at[e] -= mean;
      squares += y.at[e] * y.at[e];
    }
    const float rstd = math::rsqrt(group_sum<kLanes>(squares) * (1.0f / kC) + static_cast<float>(p.eps));
#pragma unroll
    for (int e = 0; e < 8; ++e) y.at[e] = y.at[e] * rstd * weight.at[e] + bias.at[e];
    if (row >= rows) continue;
    store_raw<true>(p.sum + (first + row) * kC, column, kC, s);
    store_raw<true>(p.normed + (first + row) * kC, column, kC, narrowed<bfloat16>(y));
    if (column == 0) {
      p.mean[first + row] = mean;
      p.rstd[first + row] = rstd;
    }
  }
}

// The gradients through the end of a branch for a block's kRows rows from `first` on, `rows` of which there are: ds to
// memory and, 0 for rows that there are not, to `tile`, each warp its kRows / kWarps rows; and of_warps (kWarps, 3, kC)
// takes its sums over them of dnormed xhat, dnormed and ds.
template <int kC, int kStride, int kWarps>
__device__ inline void begin_backward(const EndBackward& p, int64_t first, int rows, bfloat16* tile,
                                      float* of_warps) {
  constexpr int kLanes = kC / 8, kGroups = 32 / kLanes, kOwn = kRows / kWarps;
  const int column = lane_id() % kLanes * 8;
  const auto load = [column](const bfloat16* row) { return load_raw<true>(row, column, kC); };
  const Wide<bfloat16> weight = parameter_pack(p.norm_weight, column, kC);
  Wide<bfloat16> sums[3] = {};
#pragma unroll 4
  for (int i = 0; i < kOwn; i += kGroups) {
    const int row = warp_id() * kOwn + i + lane_id() / kLanes;
    const bool exists = row < rows;
    Raw<bfloat16> s{}, dnormed{}, dsum{};
    float mean = 0, rstd = 0;
    if (exists) {
      s = load(p.s + (first + row) * kC);
      dnormed = load(p.dnormed + (first + row) * kC);
      if (p.dsum) dsum = load(p.dsum + (first + row) * kC);
      mean = p.mean[first + row];
      rstd = p.rstd[first + row];
    }
    Wide<bfloat16> xhat = widened<bfloat16>(s), g = widened<bfloat16>(dnormed), ds = widened<bfloat16>(dsum);
    float along = 0, level = 0;
#pragma unroll
    for (int e = 0; e < 8; ++e) {
      xhat.at[e] = (xhat.at[e] - mean) * rstd;
      sums[0].at[e] += g.at[e] * xhat.at[e];
      sums[1].at[e] += g.at[e];
      g.at[e] *= weight.at[e];
      along += g.at[e] * xhat.at[e];
      level += g.at[e];
    }
    along = group_sum<kLanes>(along) * (1.0f / kC);
    level = group_sum<kLanes>(level) * (1.0f / kC);
#pragma unroll
    for (int e = 0; e < 8; ++e) ds.at[e] += (g.at[e] - level - xhat.at[e] * along) * rstd;
    const Raw<bfloat16> rounded = narrowed<bfloat16>(ds);
    ds = widened<bfloat16>(rounded);
#pragma unroll
    for (int e = 0; e < 8; ++e) sums[2].at[e] += ds.at[e];
    store_raw<true>(tile + row * kStride, column, kC, rounded);
    if (exists) store_raw<true>(p.ds + (first + row) * kC, column, kC, rounded);
  }
#pragma unroll
  for (int i = 0; i < 3; ++i) {
#pragma unroll
    for (int e = 0; e < 8; ++e) {
#pragma unroll
      for (int flip = kLanes; flip < 32; flip *= 2)  // over the warp's groups
        sums[i].at[e] += __shfl_xor_sync(kAllLanes, sums[i].at[e], flip);
    }
    float* const own = of_warps + (warp_id() * 3 + i) * kC + column;
    if (lane_id() < kLanes) {
      pack_at<4>(own) = {sums[i].at[0], sums[i].at[1], sums[i].at[2], sums[i].at[3]};
      pack_at<4>(own + 4) = {sums[i].at[4], sums[i].at[5], sums[i].at[6], sums[i].at[7]};
    }
  }
}

// partial[c] = the warps' sums of column c of 3 kC, in order; after a barrier.
template <int kC, int kWarps>
__device__ inline void store_sums_of_warps(const float* of_warps, float* partial) {
  for (int c = static_cast<int>(threadIdx.x); c < 3 * kC; c += 32 * kWarps) {
    float sum = 0;
#pragma unroll
    for (int warp = 0; warp < kWarps; ++warp) sum += of_warps[warp * 3 * kC + c];
    partial[c] = sum;
  }
}

// The sums of kCount rows of a tile over 16 columns from `tile`'s first on, as products with ones: lanes 0 to 3 take four
// each, of columns pair_column() and + 1, and 8 further on, to sums[column].
template <int kCount, int kStride>
__device__ inline void sum_columns(const bfloat16* tile, float* sums) {
  constexpr uint32_t kOnes = 0x3f803f80;  // two of bfloat16
  constexpr uint32_t kLeft[4] = {kOnes, kOnes, kOnes, kOnes};
  float d[2][4] = {};
#pragma unroll
  for (int row = 0; row < kCount; row += 16) {
    uint32_t b[4];
    ldmatrix_x4_transposed(b, tile + (row + lane_id() % 16) * kStride + lane_id() / 16 * 8);
    mma_m16n8k16(d[0], kLeft, b[0], b[1]);
    mma_m16n8k16(d[1], kLeft, b[2], b[3]);
  }
  if (pair_row() == 0) {
#pragma unroll
    for (int n = 0; n < 2; ++n) {
      sums[8 * n + pair_column()] = d[n][0];
      sums[8 * n + pair_column() + 1] = d[n][1];
    }
  }
}

// The sums of partial [blocks, 3 C + first], where they are wanted.
void add_partial_sums(Cuda on, const Sums& sums, int64_t blocks, int64_t columns, int64_t first);

}  // namespace galvan::branch
