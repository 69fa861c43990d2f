#include "core/cpu/gemm_kernels.h"

#include "core/cpu/simd/transpose.h"
#include "core/cpu/simd/vec.h"

namespace galvan {
namespace GALVAN_ISA {
namespace {

// Tile heights leave registers for the sums, for one row of B, and for one element of A.
//   AVX-512  32 registers: 12 x 2 sums + 2 + 1
//   AVX2     16 registers:  6 x 2 sums + 2 + 1
//   others   16 registers:  4 x 2 sums + 2 + 1, and products where there is no FMA
constexpr int kRows = kIsa == Isa::avx512 ? 12 : kIsa == Isa::avx2 ? 6 : 4;

// The micro-kernel: one outer product (R, vectors) a unit of depth.
template <class T, int R, int NV>
void tile(int64_t units, const void* a_start, int64_t lda, const void* b_start, const T* init,
          int64_t init_stride, T* c, int64_t ldc) {
  constexpr int lanes = kLanes<T>;
  const T* b = static_cast<const T*>(b_start);

  // Rows are reached from one pointer for every four of them, which takes fewer registers than a pointer
  // each. The empty asm keeps the compiler from deriving one pointer from the other.
  const T* a[(R + 3) / 4];
#pragma GCC unroll 3
  for (int i = 0; i < (R + 3) / 4; ++i) {
    a[i] = static_cast<const T*>(a_start) + 4 * i * lda;
    asm("" : "+r"(a[i]));
  }

  Vec<T> sum[R][NV];
#pragma GCC unroll 12
  for (int i = 0; i < R; ++i) {
#pragma GCC unroll 2
    for (int j = 0; j < NV; ++j) sum[i][j] = load(init + i * init_stride + j * lanes);
  }
#pragma GCC unroll 12
  for (int i = 0; i < R; ++i) {
#pragma GCC unroll 2
    for (int j = 0; j < NV; ++j) __builtin_prefetch(c + i * ldc + j * lanes, 1);
  }
  for (int64_t u = 0; u < units; ++u) {
    Vec<T> b_row[NV];
#pragma GCC unroll 2
    for (int j = 0; j < NV; ++j) b_row[j] = load(b + j * lanes);
#pragma GCC unroll 12
    for (int i = 0; i < R; ++i) {
      const Vec<T> a_iu = broadcast(a[i / 4][i % 4 * lda]);
#pragma GCC unroll 2
      for (int j = 0; j < NV; ++j) sum[i][j] = fma(a_iu, b_row[j], sum[i][j]);
    }
    b += NV * lanes;
#pragma GCC unroll 3
    for (int i = 0; i < (R + 3) / 4; ++i) ++a[i];
  }
#pragma GCC unroll 12
  for (int i = 0; i < R; ++i) {
#pragma GCC unroll 2
    for (int j = 0; j < NV; ++j) store(c + i * ldc + j * lanes, sum[i][j]);
  }
}

// src [rows, columns] -> dst [rows, columns], converted, filled with zeros up to a multiple of lanes.
template <class In, class T>
void copy(const In* src, int64_t ld, int64_t rows, int64_t columns, T* dst, int64_t dst_stride) {
  constexpr int lanes = kLanes<T>;
  for (int64_t r = 0; r < rows; ++r) {
    const In* from = src + r * ld;
    T* to = dst + r * dst_stride;
    int64_t c = 0;
    for (; c + lanes <= columns; c += lanes) store(to + c, load_as<T>(from + c));
    if (c < columns) store(to + c, load_n_as<T>(from + c, static_cast<int>(columns - c)));
  }
}

template <class In>
void pack_a(const In* a, int64_t lda, bool transpose, int64_t rows, int64_t depth, void* dst,
            int64_t dst_stride) {
  const auto to = static_cast<Acc<In>*>(dst);
  if (transpose) {
    transpose_padded(a, lda, depth, rows, to, dst_stride);
  } else {
    copy(a, lda, rows, depth, to, dst_stride);
  }
}

template <class In, class T>
void copy_to_panels(const In* b, int64_t ldb, int64_t begin, int64_t end, int64_t columns, T* dst,
                    int64_t panel_stride) {
  constexpr int lanes = kLanes<T>, width = GemmKernels<In>::kVectors * lanes;
  for (int64_t k = begin; k < end; ++k) {
    for (int64_t j = 0; j < columns; j += width) {
      const int64_t left = columns - j;
      const int64_t panel_width = left < width ? (left + lanes - 1) / lanes * lanes : width;
      T* to = dst + j / width * panel_stride + k * panel_width;
      for (int64_t v = 0; v < panel_width; v += lanes) {
        const In* from = b + k * ldb + j + v;
        store(to + v, left - v >= lanes ? load_as<T>(from) : load_n_as<T>(from, static_cast<int>(left - v)));
      }
    }
  }
}

template <class In>
void pack_b(const In* b, int64_t ldb, bool transpose, int64_t begin, int64_t end, int64_t columns, void* dst,
            int64_t panel_stride) {
  using T = Acc<In>;
  const auto to = static_cast<T*>(dst);
  if (transpose) {
    const int64_t width = (columns + kLanes<T> - 1) / kLanes<T> * kLanes<T>;
    transpose_padded(b + begin, ldb, columns, end - begin, to + begin * width, width);
  } else {
    copy_to_panels(b, ldb, begin, end, columns, to, panel_stride);
  }
}

template <class In, int... R>
constexpr GemmKernels<In> make_kernels(std::integer_sequence<int, R...>) {
  using T = Acc<In>;
  return {.tile = {{tile<T, R + 1, 1>, tile<T, R + 1, 2>}...},
          .pack_a = pack_a<In>,
          .pack_b = pack_b<In>,
          .rows = kRows,
          .lanes = kLanes<T>,
          .unit = 1,
          .unit_bytes = sizeof(T),
          .packs_a = sizeof(In) != sizeof(T)};
}

template <class In>
constexpr GemmKernels<In> kKernels = make_kernels<In>(std::make_integer_sequence<int, kRows>{});

}  // namespace
}  // namespace GALVAN_ISA

template <class In, Isa>
const GemmKernels<In>& gemm_kernels() {
  return GALVAN_ISA::kKernels<In>;
}
template const GemmKernels<float>& gemm_kernels<float, Isa::GALVAN_ISA>();
template const GemmKernels<double>& gemm_kernels<double, Isa::GALVAN_ISA>();
template const GemmKernels<bfloat16>& gemm_kernels<bfloat16, Isa::GALVAN_ISA>();

}  // namespace galvan
