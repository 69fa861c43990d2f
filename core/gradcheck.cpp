#include "core/gradcheck.h"

#include <cmath>

#include "core/autograd.h"
#include "core/ops.h"

namespace galvan {
namespace {

// Puts the calling thread's random state back, so that dropout masks are the same at every call.
class SameRandomNumbers {
 public:
  SameRandomNumbers() : before_(RandomContext::current().state()) {}
  ~SameRandomNumbers() { RandomContext::current().restore(before_); }

 private:
  RandomStream before_;
};

std::vector<Tensor> call(const GradcheckFunction& function, std::span<const Tensor> inputs) {
  const SameRandomNumbers scope;
  return function(inputs);
}

// What the outputs hold now: one that is a view of an input would change with it.
using Values = std::vector<std::vector<double>>;
Values values_of(std::span<const Tensor> outputs) {
  Values values;
  for (const Tensor& y : outputs) values.push_back(y.to_vector());
  return values;
}

// <w, after - before>: the differences first, then the sum, so that less is lost to rounding.
double weighted_difference(std::span<const Tensor> weights, const Values& after, const Values& before) {
  double total = 0.0;
  for (size_t j = 0; j < weights.size(); ++j) {
    if (!weights[j].defined()) continue;
    const std::vector<double> w = weights[j].to_vector();
    for (size_t i = 0; i < w.size(); ++i) total += w[i] * (after[j][i] - before[j][i]);
  }
  return total;
}

}  // namespace

std::optional<GradcheckFailure> find_wrong_gradient(const GradcheckFunction& function,
                                                    const std::vector<Tensor>& inputs,
                                                    GradcheckOptions options) {
  std::vector<Tensor> xs, leaves;
  for (size_t i = 0; i < inputs.size(); ++i) {
    check(!is_floating(inputs[i].dtype()) || inputs[i].dtype() == DType::f64, "gradcheck: input ", i, " is ",
          inputs[i].dtype(), ", not f64");
    xs.push_back(inputs[i].detach().clone());
    if (xs[i].dtype() == DType::f64) leaves.push_back(xs[i].set_requires_grad());
  }
  check(!leaves.empty(), "gradcheck: no input is f64");

  std::vector<Tensor> analytic;
  std::vector<Tensor> weights;
  {
    EnableGrad guard;
    std::vector<Tensor> outputs, upstream;
    for (const Tensor& y : call(function, xs)) {
      weights.emplace_back();
      if (!y.requires_grad()) continue;
      weights.back() = Tensor::uniform(y.shape(), {.low = -1.0,
                                                   .seed = options.seed + weights.size(),
                                                   .stream = "gradcheck",
                                                   .tensor = {.dtype = y.dtype(), .device = y.device()}});
      outputs.push_back(y);
      upstream.push_back(weights.back());
    }
    check(!outputs.empty(), "gradcheck: no output depends on an input that requires a gradient");
    analytic = grad(outputs, leaves, upstream);
  }

  NoGrad guard;
  std::optional<GradcheckFailure> worst;
  double worst_excess = 0.0;
  size_t leaf = 0;
  for (size_t i = 0; i < xs.size(); ++i) {
    if (xs[i].dtype() != DType::f64) continue;
    const Tensor& dx = analytic[leaf++];
    const std::vector<double> claimed =
        dx.defined() ? dx.to_vector() : std::vector<double>(xs[i].numel(), 0.0);
    const std::vector<double> values = xs[i].to_vector();
    const Tensor flat = xs[i].detach().reshape({xs[i].numel()});  // a view, through which elements are moved
    for (int64_t e = 0; e < xs[i].numel(); ++e) {
      const Tensor element = flat.select(0, e);
      const double x = values[static_cast<size_t>(e)], h = options.step * std::fmax(1.0, std::fabs(x));
      element.fill_(x + h);
      const Values after = values_of(call(function, xs));
      element.fill_(x - h);
      const Values before = values_of(call(function, xs));
      element.fill_(x);
      const double numeric = weighted_difference(weights, after, before) / (2.0 * h);
      const double excess =
          std::fabs(claimed[e] - numeric) - (options.absolute + options.relative * std::fabs(numeric));
      if (excess <= worst_excess) continue;  // a NaN is never in order
      worst = GradcheckFailure{static_cast<int>(i), e, claimed[e], numeric};
      worst_excess = std::isnan(excess) ? HUGE_VAL : excess;
    }
  }
  return worst;
}

void gradcheck(const GradcheckFunction& function, const std::vector<Tensor>& inputs,
               GradcheckOptions options) {
  if (const auto wrong = find_wrong_gradient(function, inputs, options))
    fail("gradcheck: input ", wrong->input, ", element ", wrong->element, ": analytic ", wrong->analytic,
         ", numeric ", wrong->numeric);
}

}  // namespace galvan
