// Comparison of tensors' values.
#pragma once

#include <doctest/doctest.h>

#include <cmath>
#include <vector>

#include "core/ops.h"
#include "tests/core/worst.h"

namespace galvan {

// |got - expected| <= tolerance (1 + |expected|).
inline void check_close(const Tensor& got, const Tensor& expected, double tolerance) {
  REQUIRE(got.shape() == expected.shape());
  const std::vector<double> a = got.to_vector(), b = expected.to_vector();
  for (size_t i = 0; i < a.size(); ++i) {
    const bool close = std::fabs(a[i] - b[i]) <= tolerance * (1 + std::fabs(b[i]));
    if (!close) FAIL_CHECK("element " << i << " is " << a[i] << ", expected " << b[i]);
  }
}

// NaN when any is NaN.
inline double largest_difference(const std::vector<double>& x, const std::vector<double>& y) {
  REQUIRE(x.size() == y.size());
  double largest = 0;
  for (size_t i = 0; i < x.size(); ++i) largest = worse(largest, std::fabs(x[i] - y[i]));
  return largest;
}

}  // namespace galvan
