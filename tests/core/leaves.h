// What tests of ops with golden values share: leaves made from numbers, and a comparison that shows the worst
// element.
#pragma once

#include <doctest/doctest.h>

#include <cmath>
#include <vector>

#include "core/autograd.h"
#include "core/ops.h"
#include "tests/core/worst.h"

namespace galvan {

inline Shape shape_of(const std::vector<int64_t>& sizes) {
  Shape shape;
  for (int64_t size : sizes) shape.push_back(size);
  return shape;
}

inline Tensor leaf(const std::vector<double>& values, const Shape& shape, DType dtype = DType::f64) {
  return Tensor::from(values, shape, {.dtype = dtype}).set_requires_grad();
}

// Every element within tolerance max(1, |expected|) of what is expected; the same infinities and NaNs.
inline void check_close(const Tensor& got, const std::vector<double>& expected, double tolerance) {
  const std::vector<double> values = got.to_vector();
  REQUIRE(values.size() == expected.size());
  double worst = 0;
  for (size_t i = 0; i < values.size(); ++i) {
    if (values[i] == expected[i] || (std::isnan(values[i]) && std::isnan(expected[i]))) continue;
    worst = worse(worst, std::fabs(values[i] - expected[i]) / std::fmax(1, std::fabs(expected[i])));
  }
  CHECK(worst <= tolerance);
}

// For values of size about 1, made from sums of a few tens of terms.
inline double tolerance_of(DType dtype) {
  return dtype == DType::f64 ? 1e-12 : dtype == DType::f32 ? 5e-5 : 0.06;
}

}  // namespace galvan
