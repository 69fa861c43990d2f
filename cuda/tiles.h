// Tiles of a matrix of bfloat16 that cp.async brings to shared memory.
#pragma once

#include "cuda/pack.h"

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

}  // namespace galvan
