// What the row kernels share: sums and maxima over a row whose order depends on the row's length alone.
#pragma once

#include <algorithm>
#include <cstdint>

#include "core/dtype.h"

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

// The largest of `start` and the f(i). A NaN may be passed over.
template <class A, class F>
inline A lane_max(int64_t n, A start, const F& f) {
  return lane_reduce<A>(
      n, start, [](A a, A b) { return a > b ? a : b; }, f);
}

// How many rows of C numbers make a task worth handing to a thread.
inline int64_t rows_per_task(int64_t columns) {
  return std::max<int64_t>(1, 8192 / std::max<int64_t>(1, columns));
}

}  // namespace galvan
