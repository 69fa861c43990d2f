// What the row kernels share: sums and maxima over a row whose order depends on the row's length alone.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <utility>

#include "core/cpu/simd/arrays.h"
#include "core/dtype.h"
#include "core/parallel.h"

namespace galvan {

// How many partial results a row has: element i goes to number i mod kLanes, so that a compiler may keep them
// in vector registers of any width, and every width gives the same bits.
template <class A>
inline constexpr int kLanes = 128 / sizeof(A);

// Combines f(0), ..., f(n - 1) with `join`, starting from `start`; A is the type of the result.
template <class A, class Join, class F>
inline A lane_reduce(int64_t n, A start, const Join& join, const F& f) {
  constexpr int kWide = kLanes<A>;
  A lane[kWide];
  for (int l = 0; l < kWide; ++l) lane[l] = start;
  int64_t i = 0;
  for (; i + kWide <= n; i += kWide)
    for (int l = 0; l < kWide; ++l) lane[l] = join(lane[l], f(i + l));
  for (int l = 0; i + l < n; ++l) lane[l] = join(lane[l], f(i + l));
  for (int width = kWide / 2; width > 0; width /= 2)
    for (int l = 0; l < width; ++l) lane[l] = join(lane[l], lane[l + width]);
  return lane[0];
}

// f(0) + ... + f(n - 1); 0 for none.
template <class A, class F>
inline A lane_sum(int64_t n, const F& f) {
  return lane_reduce<A>(
      n, A(0), [](A a, A b) { return a + b; }, f);
}

// The sums of f and of g, in one pass over what they read.
template <class A, class F, class G>
inline std::pair<A, A> lane_sums(int64_t n, const F& f, const G& g) {
  constexpr int kWide = kLanes<A>;
  A first[kWide] = {}, second[kWide] = {};
  const auto add = [&](int lane, int64_t i) {
    first[lane] += f(i);
    second[lane] += g(i);
  };
  int64_t i = 0;
  for (; i + kWide <= n; i += kWide)
    for (int l = 0; l < kWide; ++l) add(l, i + l);
  for (int l = 0; i + l < n; ++l) add(l, i + l);
  for (int width = kWide / 2; width > 0; width /= 2)
    for (int l = 0; l < width; ++l) {
      first[l] += first[l + width];
      second[l] += second[l + width];
    }
  return {first[0], second[0]};
}

// The largest of `start` and the f(i). A NaN may be passed over.
template <class A, class F>
inline A lane_max(int64_t n, A start, const F& f) {
  return lane_reduce<A>(
      n, start, [](A a, A b) { return a > b ? a : b; }, f);
}

// y[i] = e^y[i]
inline void exp_in_place(int64_t n, float* y) {
  with_isa([&]<Isa isa>() { exp_array<isa>(n, y, y); });
}
inline void exp_in_place(int64_t n, double* y) {
  for (int64_t i = 0; i < n; ++i) y[i] = std::exp(y[i]);
}

// Calls use(begin, values, count) with values[i] = e^f(begin + i) for one piece of 0..n after another: the
// exponentials of a long row never leave the L1 cache.
template <class A, class F, class Use>
inline void for_exp(int64_t n, const F& f, const Use& use) {
  constexpr int64_t kPiece = 1024;
  alignas(64) A values[kPiece];
  for (int64_t begin = 0; begin < n; begin += kPiece) {
    const int64_t count = std::min(kPiece, n - begin);
    for (int64_t i = 0; i < count; ++i) values[i] = f(begin + i);
    exp_in_place(count, values);
    use(begin, static_cast<const A*>(values), count);
  }
}

// The largest number m of a row and ln sum_c e^(x_c - m).
template <class A>
struct LogSum {
  A max, log_sum;
};

template <class T>
inline Acc<T> row_max(const T* x, int64_t n) {
  using A = Acc<T>;
  return lane_max<A>(n, -std::numeric_limits<A>::infinity(), [=](int64_t c) { return static_cast<A>(x[c]); });
}

template <class T>
inline LogSum<Acc<T>> row_log_sum(const T* x, int64_t n) {
  using A = Acc<T>;
  const A m = row_max(x, n);
  A sum = 0;
  for_exp<A>(
      n, [=](int64_t c) { return static_cast<A>(x[c]) - m; },
      [&](int64_t, const A* e, int64_t count) {
        sum += lane_sum<A>(count, [=](int64_t i) { return e[i]; });
      });
  return {m, std::log(sum)};
}

// How many rows of C numbers make a task worth handing to a thread.
inline int64_t rows_per_task(int64_t columns) {
  return std::max<int64_t>(1, 8192 / std::max<int64_t>(1, columns));
}

// y = the sum over blocks of partial [blocks, C], in order.
template <class T>
inline void sum_blocks(const Acc<T>* partial, int64_t blocks, int64_t columns, T* y) {
  constexpr int64_t kColumns = 256;
  parallel_ranges(columns, kColumns, [&](int64_t begin, int64_t end) {
    Acc<T> sum[kColumns] = {};
    for (int64_t b = 0; b < blocks; ++b)
      for (int64_t c = begin; c < end; ++c) sum[c - begin] += partial[b * columns + c];
    for (int64_t c = begin; c < end; ++c) y[c] = static_cast<T>(sum[c - begin]);
  });
}

}  // namespace galvan
