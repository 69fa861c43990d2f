// Rotary position embedding, half-split: a = (t + position) theta^(-2i/D), i < D/2,
//   y_i = x_i cos a - x_(i+D/2) sin a        y_(i+D/2) = x_i sin a + x_(i+D/2) cos a
// Shapes   x, y: [B, H, T, D]
// Memory   2 B H T D sizeof(T) bytes, and a table of cosines and sines [T, D]
// The table takes one sine and cosine for kExact rows, in double, and turns from row to row by one row's angle:
//   cos(a + f) = cos a cos f - sin a sin f        sin(a + f) = sin a cos f + cos a sin f
#include <algorithm>
#include <cmath>
#include <vector>

#include "core/cpu/scratch.h"
#include "core/kernels.h"
#include "core/parallel.h"

namespace galvan {
namespace {

constexpr int64_t kExact = 64;       // rows from one exact angle to the next: an error of 64 ulp at most
constexpr int64_t kGrain = 1 << 14;  // elements a task

// table[t, i] = cos a, table[t, D/2 + i] = sin a, for the rows [begin, end).
template <class A>
void fill_table(const RopeSizes& sizes, int64_t begin, int64_t end, A* table) {
  const int64_t half = sizes.D / 2;
  std::vector<double> state(4 * half);
  double *const c = state.data(), *const s = c + half, *const c1 = s + half, *const s1 = c1 + half;
  for (int64_t i = 0; i < half; ++i) {
    const double frequency =
        std::pow(sizes.theta, -2.0 * static_cast<double>(i) / static_cast<double>(sizes.D));
    const double angle = static_cast<double>(begin + sizes.position) * frequency;
    c[i] = std::cos(angle), s[i] = std::sin(angle);
    c1[i] = std::cos(frequency), s1[i] = std::sin(frequency);
  }
  for (int64_t t = begin; t < end; ++t) {
    A* const row = table + t * sizes.D;
    for (int64_t i = 0; i < half; ++i) {
      row[i] = static_cast<A>(c[i]);
      row[half + i] = static_cast<A>(sizes.inverse ? -s[i] : s[i]);
      const double next = c[i] * c1[i] - s[i] * s1[i];
      s[i] = s[i] * c1[i] + c[i] * s1[i];
      c[i] = next;
    }
  }
}

template <class T, class A>
void rotate(const T* __restrict x, const A* __restrict table, int64_t half, T* __restrict y) {
  for (int64_t i = 0; i < half; ++i) {
    const A low = static_cast<A>(x[i]), high = static_cast<A>(x[half + i]);
    y[i] = static_cast<T>(low * table[i] - high * table[half + i]);
    y[half + i] = static_cast<T>(low * table[half + i] + high * table[i]);
  }
}

}  // namespace

template <class T>
void rope(Cpu, const RopeSizes& sizes, HeadRows<const T> x, HeadRows<T> y) {
  const Scratch<Acc<T>> table(sizes.T * sizes.D);
  parallel_ranges(sizes.T, kExact,
                  [&](int64_t begin, int64_t end) { fill_table(sizes, begin, end, table.data()); });
  const int64_t rows = sizes.B * sizes.T;
  parallel_ranges(rows, std::max<int64_t>(1, kGrain / (sizes.H * sizes.D)), [&](int64_t begin, int64_t end) {
    for (int64_t at = begin; at < end; ++at) {
      const int64_t b = at / sizes.T, t = at % sizes.T;
      for (int64_t h = 0; h < sizes.H; ++h)
        rotate(x.at(b, h, t), table.data() + t * sizes.D, sizes.D / 2, y.at(b, h, t));
    }
  });
}

#define GALVAN_ROPE(T) template void rope(Cpu, const RopeSizes&, HeadRows<const T>, HeadRows<T>);
GALVAN_ROPE(float)
GALVAN_ROPE(double)
GALVAN_ROPE(bfloat16)

}  // namespace galvan
