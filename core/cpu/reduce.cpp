// Reductions of the middle dimension.
//   sum      y[o, i] = scale sum_l x[o, l, i]
//   max      y[o, i] = max_l x[o, l, i];  dx[o, l, i] = dy[o, i] / ties[o, i] where x[o, l, i] = y[o, i], else 0
//   argmax   y[o] = the first l with x[o, l] = max_l x[o, l]
//   variance y[o] = sum_l (x[o, l] - mean)^2 / (L - correction)
// Shapes   x: [O, L, I], y: [O, I]
// Memory   O L I sizeof(T) bytes, read once
// Order    A sum is cut into chunks of a fixed length; in a chunk of a row (I = 1) element l goes to lane
//          l mod kLanes, and the lanes are added in a fixed tree. So the bits depend on the shape alone, not
//          on threads or on how the data is aligned; and the error grows with the chunk, not with L.
#include <algorithm>
#include <limits>

#include "core/cpu/ladder/ladder.h"
#include "core/cpu/scratch.h"
#include "core/kernels.h"
#include "core/parallel.h"
#include "core/pointwise.h"
#include "core/variants.h"

namespace galvan {
namespace {

Variants versions("sum", "cpu",
                  {{"chunks", "core/cpu/reduce.cpp"},
                   {"one_accumulator", "core/cpu/ladder/sum_1_one_accumulator.cpp"},
                   {"many_accumulators", "core/cpu/ladder/sum_2_many_accumulators.cpp"}});

constexpr int kLanes = 64;
constexpr int64_t kRowChunk = 1 << 14;  // elements of a row summed in one go
constexpr int64_t kColumnChunk = 128;   // rows summed in one go
constexpr int64_t kColumnTile = 1024;   // columns whose sums stay in the L1 cache
constexpr int64_t kTaskElements = 1 << 14;

template <class A>
struct SumOf {
  static constexpr A kNothing{};
  static A combine(A a, A b) { return Add()(a, b); }
};

template <class A>
struct LargestOf {
  static constexpr A kNothing = std::numeric_limits<A>::has_infinity ? -std::numeric_limits<A>::infinity()
                                                                     : std::numeric_limits<A>::lowest();
  static A combine(A a, A b) { return Maximum()(a, b); }
};

struct AsItIs {
  template <class A>
  A operator()(A x) const {
    return x;
  }
};

// Combines f(x[0]), ..., f(x[n - 1]).
template <class Op, class A, class T, class F = AsItIs>
A reduce_row(const T* x, int64_t n, F f = {}) {
  A lane[kLanes];
  std::fill_n(lane, kLanes, Op::kNothing);
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes)
    for (int j = 0; j < kLanes; ++j) lane[j] = Op::combine(lane[j], f(static_cast<A>(x[i + j])));
  for (int j = 0; i + j < n; ++j) lane[j] = Op::combine(lane[j], f(static_cast<A>(x[i + j])));
  for (int width = kLanes / 2; width > 0; width /= 2)
    for (int j = 0; j < width; ++j) lane[j] = Op::combine(lane[j], lane[j + width]);
  return lane[0];
}

// y[i] = reduce x[l, i] over n rows, `stride` apart, of at most kColumnTile columns.
template <class Op, class A, class T>
void reduce_columns(const T* __restrict x, int64_t stride, int64_t n, int64_t columns, A* __restrict y) {
  std::fill_n(y, columns, Op::kNothing);
  int64_t l = 0;
  for (; l + 4 <= n; l += 4) {
    const T* __restrict row = x + l * stride;
    for (int64_t i = 0; i < columns; ++i) {
      const A low = Op::combine(static_cast<A>(row[i]), static_cast<A>(row[stride + i]));
      const A high = Op::combine(static_cast<A>(row[2 * stride + i]), static_cast<A>(row[3 * stride + i]));
      y[i] = Op::combine(y[i], Op::combine(low, high));
    }
  }
  for (; l < n; ++l)
    for (int64_t i = 0; i < columns; ++i) y[i] = Op::combine(y[i], static_cast<A>(x[l * stride + i]));
}

// Element (o, i) goes to write(o * inner + i, its A).
template <class Op, class A, class T, class Write>
void reduce_rows_of(const T* x, int64_t outer, int64_t length, const Write& write) {
  parallel_ranges(outer, std::max<int64_t>(1, kTaskElements / std::max<int64_t>(length, kLanes)),
                  [&](int64_t begin, int64_t end) {
                    for (int64_t o = begin; o < end; ++o) write(o, reduce_row<Op, A>(x + o * length, length));
                  });
}

template <class Op, class A, class T, class Write>
void reduce_columns_of(const T* x, int64_t outer, int64_t length, int64_t inner, const Write& write) {
  const int64_t tiles = (inner + kColumnTile - 1) / kColumnTile;
  const int64_t elements = length * std::min(inner, kColumnTile);
  parallel_ranges(outer * tiles, std::max<int64_t>(1, kTaskElements / std::max<int64_t>(elements, 1)),
                  [&](int64_t begin, int64_t end) {
                    A sums[kColumnTile];
                    for (int64_t task = begin; task < end; ++task) {
                      const int64_t o = task / tiles, first = task % tiles * kColumnTile;
                      const int64_t columns = std::min(kColumnTile, inner - first);
                      reduce_columns<Op>(x + o * length * inner + first, inner, length, columns, sums);
                      for (int64_t i = 0; i < columns; ++i) write(o * inner + first + i, sums[i]);
                    }
                  });
}

template <class Op, class A, class T, class Write>
void reduce(const T* x, int64_t outer, int64_t length, int64_t inner, const Write& write) {
  const int64_t chunk = inner == 1 ? kRowChunk : kColumnChunk;
  const int64_t chunks = length / chunk;
  if (chunks < 2) {
    if (inner == 1) {
      reduce_rows_of<Op, A>(x, outer, length, write);
    } else {
      reduce_columns_of<Op, A>(x, outer, length, inner, write);
    }
    return;
  }
  // Chunks first, each as if it were an outer index of its own, then the chunks' results. The last chunk
  // takes what is left over.
  const Scratch<A> partial(outer * chunks * inner);
  A* const sums = partial.data();
  const int64_t tiles = (inner + kColumnTile - 1) / kColumnTile;
  parallel_for(outer * chunks * tiles, [&](int64_t task) {
    const int64_t tile = task % tiles, c = task / tiles % chunks, o = task / tiles / chunks;
    const int64_t n = c == chunks - 1 ? length - c * chunk : chunk;
    const T* from = x + (o * length + c * chunk) * inner + tile * kColumnTile;
    A* to = sums + (o * chunks + c) * inner + tile * kColumnTile;
    if (inner == 1) {
      *to = reduce_row<Op, A>(from, n);
    } else {
      reduce_columns<Op>(from, inner, n, std::min(kColumnTile, inner - tile * kColumnTile), to);
    }
  });
  reduce<Op, A>(static_cast<const A*>(sums), outer, chunks, inner, write);
}

template <class T>
void sum_chunks(const T* x, T* y, int64_t outer, int64_t length, int64_t inner, double scale) {
  using A = Acc<T>;
  reduce<SumOf<A>, A>(x, outer, length, inner,
                      [y, scale](int64_t at, A total) { y[at] = static_cast<T>(MulScalar{scale}(total)); });
}

}  // namespace

template <class T>
void sum(Cpu, const T* x, T* y, int64_t outer, int64_t length, int64_t inner, double scale) {
  static constexpr decltype(&sum_chunks<T>) kVersions[] = {sum_chunks<T>, ladder::sum_one_accumulator<T>,
                                                           ladder::sum_many_accumulators<T>};
  versions.pick(kVersions)(x, y, outer, length, inner, scale);
}

template <class T>
void max(Cpu, const T* x, T* y, int64_t outer, int64_t length, int64_t inner) {
  using A = Acc<T>;
  reduce<LargestOf<A>, A>(x, outer, length, inner,
                          [y](int64_t at, A largest) { y[at] = static_cast<T>(largest); });
}

// Equal, or both NaN.
template <class A>
bool same(A a, A b) {
  return (a == b) | ((a != a) & (b != b));
}

template <class T>
void max_backward(Cpu, const T* x, const T* y, const T* dy, T* dx, int64_t outer, int64_t length,
                  int64_t inner) {
  using A = Acc<T>;
  const int64_t tiles = (inner + kColumnTile - 1) / kColumnTile;
  parallel_for(outer * tiles, [&](int64_t task) {
    const int64_t o = task / tiles, first = task % tiles * kColumnTile;
    const int64_t columns = std::min(kColumnTile, inner - first);
    const T* largest = y + o * inner + first;
    const auto is_tie = [&](int64_t l, int64_t i) {
      return same<A>(x[(o * length + l) * inner + first + i], largest[i]);
    };
    A share[kColumnTile] = {};
    for (int64_t l = 0; l < length; ++l)
      for (int64_t i = 0; i < columns; ++i) share[i] += is_tie(l, i) ? A(1) : A(0);
    for (int64_t i = 0; i < columns; ++i) share[i] = static_cast<A>(dy[o * inner + first + i]) / share[i];
    for (int64_t l = 0; l < length; ++l)
      for (int64_t i = 0; i < columns; ++i)
        dx[(o * length + l) * inner + first + i] = static_cast<T>(is_tie(l, i) ? share[i] : A(0));
  });
}

template <class T>
void argmax(Cpu, const T* x, int32_t* y, int64_t rows, int64_t length) {
  using A = Acc<T>;
  parallel_ranges(rows, std::max<int64_t>(1, kTaskElements / length), [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      const T* row = x + r * length;
      const A largest = reduce_row<LargestOf<A>, A>(row, length);
      int64_t best = 0;
      while (!same(static_cast<A>(row[best]), largest)) ++best;
      y[r] = static_cast<int32_t>(best);
    }
  });
}

template <class T>
void variance(Cpu, const T* x, T* y, int64_t rows, int64_t length, int64_t correction) {
  using A = Acc<T>;
  const A n = static_cast<A>(length), divisor = static_cast<A>(std::max<int64_t>(0, length - correction));
  parallel_ranges(rows, std::max<int64_t>(1, kTaskElements / std::max<int64_t>(length, kLanes)),
                  [&](int64_t begin, int64_t end) {
                    for (int64_t r = begin; r < end; ++r) {
                      const T* row = x + r * length;
                      const A mean = reduce_row<SumOf<A>, A>(row, length) / n;
                      const auto square = [mean](A value) { return (value - mean) * (value - mean); };
                      y[r] = static_cast<T>(reduce_row<SumOf<A>, A>(row, length, square) / divisor);
                    }
                  });
}

#define GALVAN_NUMBERS(T)                                                  \
  template void sum(Cpu, const T*, T*, int64_t, int64_t, int64_t, double); \
  template void max(Cpu, const T*, T*, int64_t, int64_t, int64_t);         \
  template void argmax(Cpu, const T*, int32_t*, int64_t, int64_t);
GALVAN_NUMBERS(float)
GALVAN_NUMBERS(double)
GALVAN_NUMBERS(bfloat16)
GALVAN_NUMBERS(int32_t)
#define GALVAN_FLOATING(T)                                                                      \
  template void max_backward(Cpu, const T*, const T*, const T*, T*, int64_t, int64_t, int64_t); \
  template void variance(Cpu, const T*, T*, int64_t, int64_t, int64_t);
GALVAN_FLOATING(float)
GALVAN_FLOATING(double)
GALVAN_FLOATING(bfloat16)

}  // namespace galvan
