// The innermost parts of gemm_packed, compiled once for every instruction set (simd/isa.h): packing, and the
// micro-kernel that computes a tile of C in registers.
//
// Depth (k) is counted in units: one element, or, where the processor multiplies bfloat16 in pairs, two of
// them side by side, the last one padded with 0.
#pragma once

#include <cstdint>

#include "core/cpu/simd/isa.h"
#include "core/dtype.h"

namespace galvan {

template <class In>
struct GemmKernels {
  static constexpr int kMaxRows = 8;     // height of a tile, at most
  static constexpr int kMaxVectors = 3;  // its width in vectors, at most
  static constexpr int kMaxWidth = 48;   // its width, at most

  // c[r, 0..width) = start[r, 0..width) + sum_u a[r, u] b[u, 0..width), 0 <= u < units.
  // a: rows lda units apart. b: packed, rows `width` units apart. start and c may be the same.
  // next_a: the a of the next tile, brought near meanwhile.
  using Tile = void (*)(int64_t units, const void* a, int64_t lda, const void* b, const void* next_a,
                        const Acc<In>* start, int64_t start_stride, Acc<In>* c, int64_t ldc);
  using Tiles = Tile[kMaxRows][kMaxVectors];  // by rows - 1 and by vectors - 1
  Tiles tile = {};
  Tiles tile_transposed_a = {};  // reads a[u * lda + r]; null unless units are elements of In

  // op(A)[0..rows, 0..depth) -> dst[r * dst_stride + u]. dst_stride is a multiple of 16; the units from the
  // last one of a row up to the next multiple of 16 may be overwritten.
  void (*pack_a)(const In* a, int64_t lda, bool transpose, int64_t rows, int64_t depth, void* dst,
                 int64_t dst_stride);

  // op(B)[begin..end, 0..columns) -> panels `panel_stride` units apart, each [depth, width] and the last one only as
  // many vectors wide as it needs, filled with zeros: dst[panel * panel_stride + u * width + j]. b points at
  // op(B)[0, 0]; begin is a multiple of 16. When transposed, begin is 0 and there is one panel.
  void (*pack_b)(const In* b, int64_t ldb, bool transpose, int64_t begin, int64_t end, int64_t columns,
                 void* dst, int64_t panel_stride);

  // sums [rows, width] -> c [rows, columns], rounded to In.
  void (*store_tile)(int64_t rows, int64_t columns, const Acc<In>* sums, int64_t width, In* c, int64_t ldc);

  int rows;        // height of a full tile
  int vectors;     // its width
  int lanes;       // sums in a vector
  int unit;        // elements of In in a unit of depth
  int unit_bytes;  // what a packed unit takes
  bool packs_a;    // A cannot be read in place, it is not stored in units
};

// For float, double and bfloat16.
template <class In, Isa>
const GemmKernels<In>& gemm_kernels();

}  // namespace galvan
