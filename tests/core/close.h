// Comparison of tensors' values.
#pragma once

#include <doctest/doctest.h>

#include <cmath>
#include <vector>

#include "core/ops.h"

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

}  // namespace galvan
