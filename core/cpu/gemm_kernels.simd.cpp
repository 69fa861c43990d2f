#include "core/cpu/gemm_kernels.h"

#include "core/cpu/simd/transpose.h"
#include "core/cpu/simd/vec.h"

namespace galvan {
namespace GALVAN_ISA {
namespace {

// Tiles leave registers for the sums, for one row of B, and for one element of A.
//   AVX-512  32 registers: 8 x 3 sums + 3 + 1, which loads less for a product than 12 x 2
//   AVX2     16 registers: 6 x 2 sums + 2 + 1
//   others   16 registers: 4 x 2 sums + 2 + 1, and products where there is no FMA
constexpr int kRows = kIsa == Isa::avx512 ? 8 : kIsa == Isa::avx2 ? 6 : 4;
constexpr int kVectors = kIsa == Isa::avx512 ? 3 : 2;
// Units at a time: with so many sums the loop's own work takes ports and power from products.
constexpr int kUnroll = kIsa == Isa::avx512 ? 4 : 1;

template <class V>
GALVAN_INLINE V multiply_add(V a, V b, V sum) {
  return fma(a, b, sum);
}

// Pairs of bfloat16: sum + a[0] b[0] + a[1] b[1]. Written in assembly because the instruction is not part of what
// this file is compiled for; gemm_kernels() asks the processor first.
using Pair = uint32_t;
#ifdef __AVX512F__
GALVAN_INLINE Vec<float> multiply_add(Vec<Pair> a, Vec<Pair> b, Vec<float> sum) {
  asm("vdpbf16ps %2, %1, %0" : "+v"(sum) : "v"(b), "v"(a));
  return sum;
}
#endif

// Keeps the compiler from computing other pointers from this one ahead of time, which would take registers that
// the sums need.
template <class T>
GALVAN_INLINE void opaque(T*& pointer) {
  asm("" : "+r"(pointer));
}

// Brings the lines of C near that a tile will be written to, while its sums are made.
template <int R, int width, class T>
GALVAN_INLINE void fetch_rows(const T* c, int64_t ldc) {
  for (int i = 0; i < R; ++i, c += ldc) {
#pragma GCC unroll 3
    for (int j = 0; j < width; j += kLanes<T>) __builtin_prefetch(c + j, 1);
  }
}

// sum[i][0..width) += a(i) b[0..width)
template <class Unit, class T, int R, int NV, class Column>
GALVAN_INLINE void add_outer_product(T (&sum)[R][NV], const Column& a, const Unit* b) {
  Vec<Unit> b_row[NV];
#pragma GCC unroll 3
  for (int j = 0; j < NV; ++j) b_row[j] = load(b + j * kLanes<Unit>);
#pragma GCC unroll 8
  for (int i = 0; i < R; ++i) {
    const Vec<Unit> a_i = broadcast(a(i));
#pragma GCC unroll 3
    for (int j = 0; j < NV; ++j) sum[i][j] = multiply_add(a_i, b_row[j], sum[i][j]);
  }
}

// The same for n units, of which a and b are moved past. a[i] points to rows 4 i to 4 i + 3, lda apart.
template <int n, class Unit, class T, int R, int NV>
GALVAN_INLINE void add_units(T (&sum)[R][NV], const Unit* (&a)[(R + 3) / 4], int64_t lda, const Unit*& b) {
#pragma GCC unroll 4
  for (int u = 0; u < n; ++u) {
    add_outer_product<Unit>(
        sum, [&](int i) { return a[i / 4][i % 4 * lda + u]; }, b);
    b += NV * kLanes<Unit>;
  }
#pragma GCC unroll 2
  for (int i = 0; i < (R + 3) / 4; ++i) a[i] += n;
}

// c = start + sum
template <class T, class V, int R, int NV>
GALVAN_INLINE void add_sums(const V (&sum)[R][NV], const T* start, int64_t start_stride, T* c, int64_t ldc) {
#pragma GCC unroll 8
  for (int i = 0; i < R; ++i, c += ldc, start += start_stride) {
    opaque(c);
    opaque(start);
#pragma GCC unroll 3
    for (int j = 0; j < NV; ++j) store(c + j * kLanes<T>, load(start + j * kLanes<T>) + sum[i][j]);
  }
}

// The micro-kernel: one outer product (R, vectors) a unit of depth.
template <class Unit, class T, int R, int NV>
void tile(int64_t units, const void* a_start, int64_t lda, const void* b_start, const void* next_a,
          const T* start, int64_t start_stride, T* c, int64_t ldc) {
  constexpr int lanes = kLanes<T>;
  constexpr int64_t line = 64 / sizeof(Unit);  // units in a line of cache
  const Unit* b = static_cast<const Unit*>(b_start);
  const int64_t to_next = static_cast<const char*>(next_a) - static_cast<const char*>(a_start);
  fetch_rows<R, NV * lanes>(c, ldc);

  Vec<T> sum[R][NV] = {};
  // Rows of A are reached from one pointer for every four, which takes fewer registers than a pointer each.
  const Unit* a[(R + 3) / 4];
#pragma GCC unroll 2
  for (int i = 0; i < (R + 3) / 4; ++i) {
    a[i] = static_cast<const Unit*>(a_start) + 4 * i * lda;
    opaque(a[i]);
  }
  for (int64_t left = units; left > 0; left -= line) {
#pragma GCC unroll 8
    for (int i = 0; i < R; ++i)
      __builtin_prefetch(reinterpret_cast<const char*>(a[i / 4] + i % 4 * lda) + to_next);
    int64_t u = left < line ? left : line;
    for (; u >= kUnroll; u -= kUnroll) add_units<kUnroll>(sum, a, lda, b);
    for (; u > 0; --u) add_units<1>(sum, a, lda, b);
  }
  add_sums(sum, start, start_stride, c, ldc);
}

// The same for an A that is stored transposed, a[u * lda + r]: its elements for one unit are neighbours.
template <class Unit, class T, int R, int NV>
void tile_transposed_a(int64_t units, const void* a_start, int64_t lda, const void* b_start, const void*,
                       const T* start, int64_t start_stride, T* c, int64_t ldc) {
  constexpr int64_t kAhead = kIsa == Isa::avx512 ? 32 : 16;  // units, of 12 or 6 cycles
  const Unit* a = static_cast<const Unit*>(a_start);
  const Unit* b = static_cast<const Unit*>(b_start);
  fetch_rows<R, NV * kLanes<T>>(c, ldc);

  Vec<T> sum[R][NV] = {};
  for (int64_t u = 0; u < units; ++u) {
    __builtin_prefetch(a + kAhead * lda);
    __builtin_prefetch(a + kAhead * lda + R - 1);
    add_outer_product<Unit>(
        sum, [&](int i) { return a[i]; }, b);
    a += lda;
    b += NV * kLanes<T>;
  }
  add_sums(sum, start, start_stride, c, ldc);
}

// What packing reads: source(r, c, n) is n units of row r, from column c on, and zeros in the other lanes.

// Elements as they are, or bfloat16 widened.
template <class In>
struct Elements {
  using Unit = Acc<In>;
  const In* p;
  int64_t ld;
  Vec<Unit> operator()(int64_t r, int64_t c, int n) const {
    const In* from = p + r * ld + c;
    return n == kLanes<Unit> ? load_as<Unit>(from) : load_n_as<Unit>(from, n);
  }
};

// Pairs of neighbours in a row that holds `depth` elements.
struct PairsInRows {
  using Unit = Pair;
  const bfloat16* p;
  int64_t ld, depth;
  Vec<Pair> operator()(int64_t r, int64_t c, int n) const {
    const bfloat16* from = p + r * ld + 2 * c;
    const int64_t left = depth - 2 * c;
    if (left >= 2 * kLanes<Pair>) {
      Vec<Pair> pairs;
      __builtin_memcpy(&pairs, &from->bits, sizeof(pairs));
      return pairs;
    }
    Pair pairs[kLanes<Pair>] = {};
    for (int i = 0; i < 2 * n && i < left; ++i)
      pairs[i / 2] |= static_cast<Pair>(from[i].bits) << (i % 2 * 16);
    return load(pairs);
  }
};

// Pairs of neighbours in a column: row r of pairs is made of rows 2r and 2r + 1 out of `depth`.
struct PairsInColumns {
  using Unit = Pair;
  const bfloat16* p;
  int64_t ld, depth;
  Vec<Pair> operator()(int64_t r, int64_t c, int n) const {
    const bfloat16* from = p + 2 * r * ld + c;
    const auto row = [&](const bfloat16* q) { return n == kLanes<Pair> ? load_bits(q) : load_bits_n(q, n); };
    return 2 * r + 1 < depth ? row(from) | row(from + ld) << 16 : row(from);
  }
};

constexpr int64_t round_to_lanes(int64_t n, int64_t lanes) { return (n + lanes - 1) / lanes * lanes; }

// [rows, columns] -> dst [rows, columns], filled with zeros up to a multiple of lanes.
template <class Source, class Unit = typename Source::Unit>
void copy(const Source& source, int64_t rows, int64_t columns, Unit* dst, int64_t dst_stride) {
  constexpr int lanes = kLanes<Unit>;
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t c = 0; c < columns; c += lanes) {
      const int64_t left = columns - c;
      store(dst + r * dst_stride + c, source(r, c, static_cast<int>(left < lanes ? left : lanes)));
    }
  }
}

// Rows [begin, end) of [rows, columns] -> their places in panels.
template <class Source, class Unit = typename Source::Unit>
void copy_to_panels(const Source& source, int64_t begin, int64_t end, int64_t columns, Unit* dst,
                    int64_t panel_stride) {
  constexpr int lanes = kLanes<Unit>, width = kVectors * lanes;
  for (int64_t r = begin; r < end; ++r) {
    for (int64_t j = 0; j < columns; j += width) {
      const int64_t left = columns - j;
      const int64_t panel_width = left < width ? round_to_lanes(left, lanes) : width;
      Unit* to = dst + j / width * panel_stride + r * panel_width;
      for (int64_t v = 0; v < panel_width; v += lanes) {
        store(to + v, source(r, j + v, static_cast<int>(left - v < lanes ? left - v : lanes)));
      }
    }
  }
}

template <class In>
void pack_a(const In* a, int64_t lda, bool transpose, int64_t rows, int64_t depth, void* dst,
            int64_t dst_stride) {
  const auto to = static_cast<Acc<In>*>(dst);
  const Elements<In> source{a, lda};
  if (transpose) {
    transpose_padded(source, depth, rows, to, dst_stride);
  } else {
    copy(source, rows, depth, to, dst_stride);
  }
}

template <class In>
void pack_b(const In* b, int64_t ldb, bool transpose, int64_t begin, int64_t end, int64_t columns, void* dst,
            int64_t panel_stride) {
  const auto to = static_cast<Acc<In>*>(dst);
  const Elements<In> source{b, ldb};
  if (transpose) {
    transpose_padded(source, columns, end, to, round_to_lanes(columns, kLanes<Acc<In>>));
  } else {
    copy_to_panels(source, begin, end, columns, to, panel_stride);
  }
}

template <class In>
void store_tile(int64_t rows, int64_t columns, const Acc<In>* sums, int64_t width, In* c, int64_t ldc) {
  constexpr int lanes = kLanes<Acc<In>>;
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t j = 0; j < columns; j += lanes) {
      const Vec<Acc<In>> sum = load(sums + r * width + j);
      if (columns - j >= lanes) {
        store_as(c + r * ldc + j, sum);
      } else {
        store_n_as(c + r * ldc + j, sum, static_cast<int>(columns - j));
      }
    }
  }
}

// The instances for tiles of every size, of units packed like that.
template <class In, class Unit, int... Sizes>
constexpr GemmKernels<In> make_kernels(decltype(GemmKernels<In>::pack_a) pack_a,
                                       decltype(GemmKernels<In>::pack_b) pack_b,
                                       std::integer_sequence<int, Sizes...>) {
  using T = Acc<In>;
  constexpr bool kPairs = !std::is_same_v<Unit, T>;
  GemmKernels<In> kernels = {.pack_a = pack_a,
                             .pack_b = pack_b,
                             .store_tile = store_tile<In>,
                             .rows = kRows,
                             .vectors = kVectors,
                             .lanes = kLanes<T>,
                             .unit = kPairs ? 2 : 1,
                             .unit_bytes = sizeof(Unit),
                             .packs_a = !kPairs && sizeof(In) != sizeof(T)};
  ((kernels.tile[Sizes / kVectors][Sizes % kVectors] =
        tile<Unit, T, Sizes / kVectors + 1, Sizes % kVectors + 1>),
   ...);
  if constexpr (!kPairs) {
    ((kernels.tile_transposed_a[Sizes / kVectors][Sizes % kVectors] =
          tile_transposed_a<T, T, Sizes / kVectors + 1, Sizes % kVectors + 1>),
     ...);
  }
  return kernels;
}
using EverySize = std::make_integer_sequence<int, kRows * kVectors>;

template <class In>
constexpr GemmKernels<In> kKernels = make_kernels<In, Acc<In>>(pack_a<In>, pack_b<In>, EverySize{});

#ifdef __AVX512F__
void pack_a_pairs(const bfloat16* a, int64_t lda, bool transpose, int64_t rows, int64_t depth, void* dst,
                  int64_t dst_stride) {
  const auto to = static_cast<Pair*>(dst);
  const int64_t units = (depth + 1) / 2;
  if (transpose) {
    transpose_padded(PairsInColumns{a, lda, depth}, units, rows, to, dst_stride);
  } else {
    copy(PairsInRows{a, lda, depth}, rows, units, to, dst_stride);
  }
}

void pack_b_pairs(const bfloat16* b, int64_t ldb, bool transpose, int64_t begin, int64_t end, int64_t columns,
                  void* dst, int64_t panel_stride) {
  const auto to = static_cast<Pair*>(dst);
  const int64_t units_end = (end + 1) / 2;
  if (transpose) {
    transpose_padded(PairsInRows{b, ldb, end}, columns, units_end, to, round_to_lanes(columns, kLanes<Pair>));
  } else {
    copy_to_panels(PairsInColumns{b, ldb, end}, begin / 2, units_end, columns, to, panel_stride);
  }
}

constexpr GemmKernels<bfloat16> kPairKernels =
    make_kernels<bfloat16, Pair>(pack_a_pairs, pack_b_pairs, EverySize{});
#endif

template <class In>
const GemmKernels<In>& kernels() {
#ifdef __AVX512F__
  if constexpr (sizeof(In) == sizeof(bfloat16)) {
    if (__builtin_cpu_supports("avx512bf16")) return kPairKernels;
  }
#endif
  return kKernels<In>;
}

}  // namespace
}  // namespace GALVAN_ISA

template <class In, Isa>
const GemmKernels<In>& gemm_kernels() {
  return GALVAN_ISA::kernels<In>();
}
template const GemmKernels<float>& gemm_kernels<float, Isa::GALVAN_ISA>();
template const GemmKernels<double>& gemm_kernels<double, Isa::GALVAN_ISA>();
template const GemmKernels<bfloat16>& gemm_kernels<bfloat16, Isa::GALVAN_ISA>();

}  // namespace galvan
