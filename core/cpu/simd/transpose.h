// Transposes for *.simd.cpp files (isa.h).
#pragma once

#include "core/cpu/simd/vec.h"

namespace galvan::GALVAN_ISA {

// Swaps the off-diagonal blocks of size S in every 2S x 2S block: with S = 1, 2, 4, ... this transposes.
template <int S, class V, int... I>
GALVAN_INLINE void swap_blocks(V* row, std::integer_sequence<int, I...>) {
  constexpr int n = sizeof...(I);
#pragma GCC unroll 16
  for (int i = 0; i < n; ++i) {
    if (i & S) continue;
    const V upper = row[i], lower = row[i + S];
    row[i] = __builtin_shufflevector(upper, lower, (I & S ? n + I - S : I)...);
    row[i + S] = __builtin_shufflevector(upper, lower, (I & S ? n + I : I + S)...);
  }
}

// As many rows as lanes, in place.
template <class V>
GALVAN_INLINE void transpose(V* row) {
  constexpr int n = sizeof(V) / sizeof(V{}[0]);
  if constexpr (n >= 2) swap_blocks<1>(row, LanesOf<V>{});
  if constexpr (n >= 4) swap_blocks<2>(row, LanesOf<V>{});
  if constexpr (n >= 8) swap_blocks<4>(row, LanesOf<V>{});
  if constexpr (n >= 16) swap_blocks<8>(row, LanesOf<V>{});
}

// src [rows, columns] -> dst [columns, rows]; each row of dst is filled with zeros up to a multiple of kLanes<T>.
// source(r, c, n) gives n elements of row r from column c on, and zeros in the other lanes.
template <class T, class Source>
void transpose_padded(const Source& source, int64_t rows, int64_t columns, T* dst, int64_t dst_stride) {
  constexpr int lanes = kLanes<T>;
  for (int64_t r = 0; r < rows; r += lanes) {
    const int height = static_cast<int>(rows - r < lanes ? rows - r : lanes);
    for (int64_t c = 0; c < columns; c += lanes) {
      const int width = static_cast<int>(columns - c < lanes ? columns - c : lanes);
      T* to = dst + c * dst_stride + r;
      Vec<T> block[lanes];
      if (height == lanes && width == lanes) {
#pragma GCC unroll 16
        for (int i = 0; i < lanes; ++i) block[i] = source(r + i, c, lanes);
        transpose(block);
#pragma GCC unroll 16
        for (int i = 0; i < lanes; ++i) store(to + i * dst_stride, block[i]);
      } else {
        for (int i = 0; i < lanes; ++i) block[i] = i < height ? source(r + i, c, width) : Vec<T>{};
        transpose(block);
        for (int i = 0; i < width; ++i) store(to + i * dst_stride, block[i]);
      }
    }
  }
}

}  // namespace galvan::GALVAN_ISA
