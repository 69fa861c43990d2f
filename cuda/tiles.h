// Tiles of a matrix of bfloat16 that cp.async brings to shared memory, and products of 16 rows a warp by mma, whose
// operands are fragments of tiles and whose results stay in registers: sums[n] are a lane's four elements of the 8 columns
// from 8 n on, rows pair_row() and, from element 2 on, pair_row() + 8, columns pair_column() and + 1.
#pragma once

#include <bit>

#include "cuda/pack.h"
#include "cuda/ptx.h"
#include "cuda/warp.h"

namespace galvan {

// Starts to copy x's first kRows rows of kColumns elements to `tile`, whose rows are kStride apart; 0 from row `rows` and
// column `columns` on. x points at the first of them, its rows are whole packs. The kThreads threads of a block, together;
// who has none of x's rows may pass any pointer with rows <= 0.
template <int kRows, int kColumns, int kStride, int kThreads>
__device__ inline void fetch_tile(const bfloat16* x, int64_t row_stride, int rows, int columns,
                                  bfloat16* tile) {
  constexpr int kPacks = kColumns / kPack<bfloat16>, kRowsAtOnce = kThreads / kPacks;
  static_assert(kThreads % kPacks == 0 && kRows % kRowsAtOnce == 0);
  const int row = static_cast<int>(threadIdx.x) / kPacks;
  const int column = static_cast<int>(threadIdx.x) % kPacks * kPack<bfloat16>;
  if (column >= columns) rows = 0;
  x += row * row_stride + column;
  tile += row * kStride + column;
#pragma unroll
  for (int i = 0; i < kRows; i += kRowsAtOnce) {
    cp_async<16>(tile + i * kStride, x, row + i < rows ? 16 : 0);
    x += kRowsAtOnce * row_stride;
  }
}

namespace tiles {

inline constexpr float kLog2E = 1.44269504f;  // exp(x) = exp2(kLog2E x)
inline constexpr float kLn2 = 0.693147181f;

// From one row of a tile to the next: 8 rows' packs of 16 bytes, which ldmatrix reads together, lie in different banks.
template <int kColumns>
inline constexpr int kStrideOf = kColumns + 8;

__device__ inline int pair_row() { return lane_id() / 4; }
__device__ inline int pair_column() { return lane_id() % 4 * 2; }

// The sum and the maximum over the 4 lanes that share rows. The maximum is of numbers: fmaxf has left out NaN before.
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

// --- a warp's 16 rows as mma's left operands: (a, k) makes those of columns 16 k to 16 k + 15 ---

// Of a tile, from the first of the rows.
template <int kStride>
struct LeftRows {
  const bfloat16* rows;
  __device__ void operator()(uint32_t (&a)[4], int k) const {
    ldmatrix_x4(a, rows + lane_id() % 16 * kStride + 16 * k + lane_id() / 16 * 8);
  }
};

// The same in registers.
template <int kK>
struct KeptLeft {
  uint32_t of[kK / 16][4];
  template <class A>
  __device__ explicit KeptLeft(const A& a_of) {
#pragma unroll
    for (int k = 0; k < kK / 16; ++k) a_of(of[k], k);
  }
  __device__ void operator()(uint32_t (&a)[4], int k) const {
#pragma unroll
    for (int i = 0; i < 4; ++i) a[i] = of[k][i];
  }
};

// The sums of a product, rounded: of the 16 x 8 that a lane holds four of, two side by side are laid out as mma wants its
// left operand.
template <int kTiles>
struct LeftSums {
  const float (&w)[kTiles][4];
  __device__ explicit LeftSums(const float (&sums)[kTiles][4]) : w(sums) {}
  __device__ void operator()(uint32_t (&a)[4], int k) const {
#pragma unroll
    for (int i = 0; i < 4; ++i)
      a[i] = pack_bf16(w[2 * k + i / 2][i % 2 * 2], w[2 * k + i / 2][i % 2 * 2 + 1]);
  }
};

// Of blocks of 16 along a dimension of a product, all; or those for which a function like this is true, the same for a
// whole warp.
struct All {
  __device__ constexpr bool operator()(int) const { return true; }
};

// sums (16, 8 kTiles) += a x^T, of x (8 kTiles, kK), for the wanted blocks of 16 columns.
template <int kK, int kStride = kStrideOf<kK>, int kTiles, class A, class Wanted = All>
__device__ inline void add_product_transposed(float (&sums)[kTiles][4], const A& a_of, const bfloat16* x,
                                              const Wanted& wanted = {}) {
  const bfloat16* const mine = x + (lane_id() % 8 + lane_id() / 16 * 8) * kStride + lane_id() / 8 % 2 * 8;
#pragma unroll
  for (int k = 0; k < kK / 16; ++k) {
    uint32_t a[4], b[4];
    a_of(a, k);
#pragma unroll
    for (int n = 0; n < kTiles; n += 2) {
      if (!wanted(n / 2)) continue;
      ldmatrix_x4(b, mine + 8 * n * kStride + 16 * k);
      mma_m16n8k16(sums[n], a, b[0], b[1]);
      mma_m16n8k16(sums[n + 1], a, b[2], b[3]);
    }
  }
}

// sums (16, 8 kTiles) += a x, of x (kK, 8 kTiles). Blocks of 16 of a's columns that are not wanted count as 0.
template <int kK, int kStride, int kTiles, class A, class Wanted = All>
__device__ inline void add_product(float (&sums)[kTiles][4], const A& a_of, const bfloat16* x,
                                   const Wanted& wanted = {}) {
  const bfloat16* const mine = x + lane_id() % 16 * kStride + lane_id() / 16 * 8;
#pragma unroll
  for (int k = 0; k < kK / 16; ++k) {
    if (!wanted(k)) continue;
    uint32_t a[4];
    a_of(a, k);
#pragma unroll
    for (int n = 0; n < kTiles; n += 2) {
      uint32_t b[4];
      ldmatrix_x4_transposed(b, mine + 16 * k * kStride + 8 * n);
      mma_m16n8k16(sums[n], a, b[0], b[1]);
      mma_m16n8k16(sums[n + 1], a, b[2], b[3]);
    }
  }
}

}  // namespace tiles
}  // namespace galvan
