// Checks a backward against central differences, in f64.
//
//   gradcheck([](std::span<const Tensor> in) { return std::vector{softmax(in[0])}; }, {x});
//
// The loss is <w, y> with random w, not sum(y): a gradient that sum(y) cannot see (softmax's rows add up to 1
// whatever x is, so a backward that returns zeros would pass) shows here.
//   d<w, y>/dx_i  against  <w, y(x + h e_i) - y(x - h e_i)> / (2 h),  h = step max(1, |x_i|)
// Source: Griewank & Walther, "Evaluating Derivatives", SIAM 2008, chapter 8 (step size).
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/tensor.h"

namespace galvan {

struct GradcheckOptions {
  double step = 1e-5;
  double relative = 1e-6;  // passes: |analytic - numeric| <= absolute + relative |numeric|
  double absolute = 1e-7;
  uint64_t seed = 0;  // of w
};

// The worst element found to be wrong.
struct GradcheckFailure {
  int input = 0;        // its index among the inputs
  int64_t element = 0;  // in row-major order
  double analytic = 0.0;
  double numeric = 0.0;
};

using GradcheckFunction = std::function<std::vector<Tensor>(std::span<const Tensor>)>;

// Every f64 input is checked, in every element; others (indices, masks) are passed on. Random ops draw the same
// numbers at every call. Nothing when all is well.
// Throws Error when an input is f32 or bf16, in which differences drown in rounding, when no input is f64, and
// when no output depends on one.
std::optional<GradcheckFailure> find_wrong_gradient(const GradcheckFunction& function,
                                                    const std::vector<Tensor>& inputs,
                                                    GradcheckOptions options = {});

// The same; throws Error "gradcheck: input 1, element 5: analytic 0.5, numeric 1".
void gradcheck(const GradcheckFunction& function, const std::vector<Tensor>& inputs,
               GradcheckOptions options = {});

}  // namespace galvan
