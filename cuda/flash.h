// What the flash attention kernels for bfloat16 share beyond cuda/tiles.h. A block's four warps make kM = 64 rows of its
// results, 16 each, and go through kN rows of the other side at a time, of which the next are on their way while these are
// worked on.
#pragma once

#include "core/dispatch.h"
#include "core/head_layout.h"
#include "cuda/tiles.h"

namespace galvan::flash {

using namespace tiles;

inline constexpr int kWarps = 4;
inline constexpr int kThreads = kWarps * 32;

// The sizes of tiles for heads of size kD or less.
template <int kD>
struct Tiles {
  static constexpr int kM = 16 * kWarps;
  static constexpr int kStride = kStrideOf<kD>;
};

// Starts to copy rows [first, first + kRows) of x's head to a tile (kRows, kD): 0 from row `end` and column D on.
template <int kD, int kRows>
__device__ inline void fetch_rows(HeadRows<const bfloat16> x, int64_t b, int64_t head, int first, int end,
                                  int D, bfloat16* tile) {
  fetch_tile<kRows, kD, Tiles<kD>::kStride, kThreads>(x.at(b, head, first), x.row_stride, end - first, D,
                                                      tile);
}

// The calling warp's rows of a tile (16 kWarps, kD).
template <int kD>
__device__ inline LeftRows<Tiles<kD>::kStride> left_of(const bfloat16* tile) {
  return {tile + 16 * warp_id() * Tiles<kD>::kStride};
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
