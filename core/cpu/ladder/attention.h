// What the rungs of the attention ladder share: sums over a row of D numbers.
#pragma once

#include <cstdint>

#include "core/dtype.h"

namespace galvan::ladder {

template <class A, class X, class Y>
A dot(const X* x, const Y* y, int64_t n) {
  A sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += static_cast<A>(x[i]) * static_cast<A>(y[i]);
  return sum;
}

// y += factor x
template <class A, class X>
void add_scaled(A factor, const X* x, int64_t n, A* y) {
  for (int64_t i = 0; i < n; ++i) y[i] += factor * static_cast<A>(x[i]);
}

// to = factor from
template <class A, class T>
void store_scaled(A factor, const A* from, int64_t n, T* to) {
  for (int64_t i = 0; i < n; ++i) to[i] = static_cast<T>(factor * from[i]);
}

}  // namespace galvan::ladder
