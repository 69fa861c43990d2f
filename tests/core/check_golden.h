// Runs the golden cases of an op: outputs and gradients against PyTorch's.
#pragma once

#include <doctest/doctest.h>

#include <functional>

#include "core/autograd.h"
#include "core/ops.h"
#include "tests/core/golden.h"

namespace galvan {

inline Shape golden_shape(const std::vector<int64_t>& sizes) {
  Shape shape;
  for (int64_t size : sizes) shape.push_back(size);
  return shape;
}

// |got - expected| <= tolerance (1 + |expected|), NaN equal to NaN.
inline void check_close(const std::vector<double>& got, const std::vector<double>& expected,
                        double tolerance) {
  REQUIRE(got.size() == expected.size());
  for (size_t i = 0; i < got.size(); ++i) {
    const bool close = std::fabs(got[i] - expected[i]) <= tolerance * (1 + std::fabs(expected[i])) ||
                       got[i] == expected[i] || (std::isnan(got[i]) && std::isnan(expected[i]));
    if (!close) FAIL_CHECK("element " << i << " is " << got[i] << ", expected " << expected[i]);
  }
}

// The cases of `op`, their floating-point inputs in `dtype`; run(inputs, attributes) gives the outputs.
inline void check_golden(
    const std::string& op, DType dtype, double tolerance,
    const std::function<std::vector<Tensor>(const std::vector<Tensor>&, const nlohmann::json&)>& run) {
  for (const GoldenCase& c : golden_cases(op)) {
    CAPTURE(c.name);
    std::vector<Tensor> inputs;
    for (const GoldenInput& in : c.inputs) {
      const DType kind = in.dtype == "i32" ? DType::i32 : in.dtype == "bool" ? DType::boolean : dtype;
      inputs.push_back(Tensor::from(in.values, golden_shape(in.shape)).to(kind));
      if (in.dtype == "f64") inputs.back().set_requires_grad();
    }
    const std::vector<Tensor> outputs = run(inputs, c.attributes);
    REQUIRE(outputs.size() == c.outputs.size());
    std::vector<Tensor> upstream;
    for (size_t i = 0; i < outputs.size(); ++i) {
      REQUIRE(outputs[i].shape() == golden_shape(c.outputs[i].shape));
      check_close(outputs[i].to_vector(), c.outputs[i].values, tolerance);
      upstream.push_back(Tensor::from(c.outputs[i].upstream, outputs[i].shape()).to(dtype));
    }
    backward(outputs, upstream);
    for (size_t i = 0; i < inputs.size(); ++i)
      if (c.inputs[i].dtype == "f64") check_close(inputs[i].grad().to_vector(), c.inputs[i].grad, tolerance);
  }
}

}  // namespace galvan
