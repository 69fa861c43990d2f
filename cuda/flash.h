// What the flash attention kernels for bfloat16 share: tiles of rows that cp.async brings to shared memory, and
// products of 16 rows a warp by mma, whose operands are fragments of tiles and whose results stay in registers.
//
// A block's four warps make kM = 64 rows of its results, 16 each, and go through kN rows of the other side at a
// time, of which the next are on their way while these are worked on. sums[n] are a lane's four elements of the
// 8 columns from 8 n on: rows pair_row() and, from element 2 on, pair_row() + 8, columns pair_column() and + 1.
#pragma once

#include <bit>

#include "core/dispatch.h"
#include "core/head_layout.h"
#include "cuda/pack.h"
#include "cuda/ptx.h"
#include "cuda/tiles.h"
#include "cuda/warp.h"

namespace galvan::flash {

inline constexpr int kWarps = 4;
inline constexpr int kThreads = kWarps * 32;
inline constexpr float kLog2E = 1.44269504f;  // exp(x) = exp2(kLog2E x)
inline constexpr float kLn2 = 0.693147181f;

// The sizes of tiles for heads of size kD or less.
template <int kD>
struct Tiles {
  static constexpr int kM = 16 * kWarps;
  // From one row to the next: 8 rows' packs of 16 bytes, which ldmatrix reads together, lie in different banks.
  static constexpr int kStride = kD + 8;
};

__device__ inline int pair_row() { return lane_id() / 4; }
__device__ inline int pair_column() { return lane_id() % 4 * 2; }

// The sum and the maximum over the 4 lanes that share rows; NaN is smaller than everything.
__device__ inline float row_sum(float value) {
  for (int flip = 2; flip > 0; flip /= 2) value += __shfl_xor_sync(kAllLanes, value, flip);
  return value;
}
__device__ inline float row_max(float value) {
  for (int flip = 2; flip > 0; flip /= 2) {
    const float other = __shfl_xor_sync(kAllLanes, value, flip);
    value = other > value ? other : value;
  }
  return value;
}

// Starts to copy rows [first, first + kRows) of x's head to a tile (kRows, kD): 0 from row `end` and column D on.
template <int kD, int kRows>
__device__ inline void fetch_rows(HeadRows<const bfloat16> x, int64_t b, int64_t head, int first, int end,
                                  int D, bfloat16* tile) {
  fetch_tile<kRows, kD, Tiles<kD>::kStride, kThreads>(x.at(b, head, first), x.row_stride, end - first, D,
                                                      tile);
}

// A warp's 16 rows of a tile, as mma's left operands: (a, k) loads columns 16 k to 16 k + 15.
template <int kD>
struct LeftOf {
  const bfloat16* tile;  // (16 kWarps, kD)

  __device__ void operator()(uint32_t (&a)[4], int k) const {
    ldmatrix_x4(a,
                tile + (16 * warp_id() + lane_id() % 16) * Tiles<kD>::kStride + 16 * k + lane_id() / 16 * 8);
  }
};

// Of blocks of 16 in a row of a product, all; or those for which a function like this is true, the same for a whole warp.
struct All {
  __device__ constexpr bool operator()(int) const { return true; }
};

// sums (16, 8 kTiles) += a x^T, of x (8 kTiles, kD), for the wanted blocks of 16 columns; a_of(a, k) loads them as LeftOf
// does.
template <int kD, int kTiles, class A, class Wanted = All>
__device__ inline void add_product_transposed(float (&sums)[kTiles][4], const A& a_of, const bfloat16* x,
                                              const Wanted& wanted = {}) {
  const bfloat16* const mine =
      x + (lane_id() % 8 + lane_id() / 16 * 8) * Tiles<kD>::kStride + lane_id() / 8 % 2 * 8;
#pragma unroll
  for (int k = 0; k < kD / 16; ++k) {
    uint32_t a[4], b[4];
    a_of(a, k);
#pragma unroll
    for (int n = 0; n < kTiles; n += 2) {
      if (!wanted(n / 2)) continue;
      ldmatrix_x4(b, mine + 8 * n * Tiles<kD>::kStride + 16 * k);
      mma_m16n8k16(sums[n], a, b[0], b[1]);
      mma_m16n8k16(sums[n + 1], a, b[2], b[3]);
    }
  }
}

// sums (16, kD) += w x, of w (16, 8 kTiles), itself sums of a product, rounded, and x (8 kTiles, kD): of the 16 x 8
// results that a lane holds four of, two side by side are laid out as mma wants its left operand. Blocks of 16 of w's
// columns that are not wanted count as 0.
template <int kD, int kTiles, class Wanted = All>
__device__ inline void add_product(float (&sums)[kD / 8][4], const float (&w)[kTiles][4], const bfloat16* x,
                                   const Wanted& wanted = {}) {
  const bfloat16* const mine = x + lane_id() % 16 * Tiles<kD>::kStride + lane_id() / 16 * 8;
#pragma unroll
  for (int k = 0; k < kTiles; k += 2) {
    if (!wanted(k / 2)) continue;
    const uint32_t a[4] = {pack_bf16(w[k][0], w[k][1]), pack_bf16(w[k][2], w[k][3]),
                           pack_bf16(w[k + 1][0], w[k + 1][1]), pack_bf16(w[k + 1][2], w[k + 1][3])};
#pragma unroll
    for (int n = 0; n < kD / 8; n += 2) {
      uint32_t b[4];
      ldmatrix_x4_transposed(b, mine + 8 * k * Tiles<kD>::kStride + 8 * n);
      mma_m16n8k16(sums[n], a, b[0], b[1]);
      mma_m16n8k16(sums[n + 1], a, b[2], b[3]);
    }
  }
}

// Rows [first, first + 16) of y's head, below `end`, = factor sums; factor[1] is that of rows 8 to 15.
template <int kTiles>
__device__ inline void store_rows(const float (&sums)[kTiles][4], const float (&factor)[2],
                                  HeadRows<bfloat16> y, int64_t b, int64_t head, int64_t first, int64_t end,
                                  int D) {
#pragma unroll
  for (int r = 0; r < 2; ++r) {
    const int64_t row = first + pair_row() + 8 * r;
    if (row >= end) continue;
    bfloat16* const to = y.at(b, head, row) + pair_column();
#pragma unroll
    for (int n = 0; n < kTiles; ++n) {
      if (8 * n >= D) continue;
      const uint32_t pair = pack_bf16(sums[n][2 * r] * factor[r], sums[n][2 * r + 1] * factor[r]);
      pack_at<2>(to + 8 * n) = std::bit_cast<Pack<bfloat16, 2>>(pair);
    }
  }
}

// Whether heads of size D, in rows of whole packs or not, are for these kernels.
inline bool takes(int64_t D, bool whole) { return whole && D <= 128; }

void attention_forward(Cuda on, const AttentionSizes& sizes, HeadRows<const bfloat16> q,
                       HeadRows<const bfloat16> k, HeadRows<const bfloat16> v, HeadRows<bfloat16> y,
                       float* lse);
void attention_backward(Cuda on, const AttentionSizes& sizes, HeadRows<const bfloat16> q,
                        HeadRows<const bfloat16> k, HeadRows<const bfloat16> v, HeadRows<const bfloat16> y,
                        HeadRows<const bfloat16> dy, const float* lse, HeadRows<bfloat16> dq,
                        HeadRows<bfloat16> dk, HeadRows<bfloat16> dv);

}  // namespace galvan::flash
