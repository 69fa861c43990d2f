// Ops of one input whose maths, with its derivative, stands in core/pointwise.h.
#include <algorithm>
#include <cmath>
#include <limits>

#include "core/ops/pointwise.h"

namespace galvan {

Tensor pow(const Tensor& x, double exponent) {
  return exponent == 2.0 ? differentiable<"pow">(x, Square()) : differentiable<"pow">(x, Pow{exponent});
}

Tensor exp(const Tensor& x) { return differentiable<"exp">(x, Exp()); }
Tensor log(const Tensor& x) { return differentiable<"log">(x, Log()); }
Tensor sqrt(const Tensor& x) { return differentiable<"sqrt">(x, Sqrt()); }
Tensor abs(const Tensor& x) { return differentiable<"abs">(x, Abs()); }
Tensor relu(const Tensor& x) { return differentiable<"relu">(x, Relu()); }
Tensor silu(const Tensor& x) { return differentiable<"silu">(x, Silu()); }
Tensor tanh(const Tensor& x) { return differentiable<"tanh">(x, Tanh()); }
Tensor sigmoid(const Tensor& x) { return differentiable<"sigmoid">(x, Sigmoid()); }

Tensor clamp(const Tensor& x, double low, double high) {
  check_defined("clamp", x);
  check(!std::isnan(low) && !std::isnan(high), "clamp: a bound is NaN");
  if (x.dtype() == DType::i32) {  // the whole numbers between the bounds
    constexpr double kLeast = std::numeric_limits<int32_t>::min(),
                     kMost = std::numeric_limits<int32_t>::max();
    low = std::clamp(std::ceil(low), kLeast, kMost);
    high = std::clamp(std::floor(high), kLeast, kMost);
  }
  return differentiable<"clamp">(x, Clamp{low, high});
}

Tensor gelu(const Tensor& x, Gelu form) {
  return form == Gelu::tanh ? differentiable<"gelu">(x, GeluTanh()) : differentiable<"gelu">(x, GeluExact());
}

}  // namespace galvan
