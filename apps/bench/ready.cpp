// Makes rows ready, and looks whether what they give is right.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "apps/bench/measure.h"
#include "bench/op_table/tolerance.h"
#include "core/autograd.h"
#include "core/check.h"
#include "core/random.h"

namespace galvan {
namespace {

std::vector<Tensor> converted(Inputs inputs, DType dtype, Device device) {
  std::vector<Tensor> all;
  for (const Tensor& x : inputs) all.push_back((is_floating(x.dtype()) ? x.to(dtype) : x).to(device));
  return all;
}

// Of upstream gradients: sums of some hundred products with them are about 1 in size, as the tolerance takes them to be.
constexpr double kUpstream = 1.0 / 16;

// A call of the pass: forward gives outputs, both give the gradients, from upstream ones that are random and the same in
// every dtype.
PreparedCall prepare(const Prepare& forward, Pass pass, const std::vector<Tensor>& inputs,
                     const Attributes& attributes) {
  if (pass == Pass::forward)
    return [call = forward(inputs, attributes)] {
      const NoGrad guard;
      return call();
    };
  std::vector<Tensor> all, leaves;
  for (const Tensor& x : inputs) {
    all.push_back(x.detach());
    if (is_floating(x.dtype())) leaves.push_back(all.back().set_requires_grad());
  }
  const PreparedCall call = forward(all, attributes);
  std::vector<Tensor> upstream;
  for (const Tensor& y : call())
    upstream.push_back(
        Tensor::uniform(y.shape(), {.low = -kUpstream, .high = kUpstream, .seed = upstream.size()})
            .to(DType::bf16)
            .to(y.dtype())
            .to(y.device()));
  return [call, leaves, upstream] { return grad(call(), leaves, upstream); };
}

// What an op that draws random numbers draws is the same each time.
Outputs call_once(const PreparedCall& call) {
  RandomContext::current().begin(1, 0, 0);
  return call();
}

// Fills the memory that the next tensors of these shapes are given.
void poison(const Outputs& outputs) {
  std::vector<Tensor> blocks;
  for (const Tensor& y : outputs)
    if (is_floating(y.dtype()))
      blocks.push_back(Tensor::full(y.shape(), NAN, {.dtype = y.dtype(), .device = y.device()}));
}

struct Exact {
  std::vector<std::vector<double>> values;  // by output
  std::vector<int64_t> lengths;             // of the sums behind each
};

Exact exact_of(const BenchGroup& group, Inputs inputs, const Attributes& attributes) {
  const std::vector<Tensor> wide = converted(inputs, DType::f64, kCpu);
  const int64_t length = group.kernel.length(wide, attributes);
  int64_t elements = 0;  // of the largest output
  if (group.pass != Pass::forward) {
    const NoGrad guard;
    for (const Tensor& y : group.kernel.prepare(wide, attributes)()) elements = std::max(elements, y.numel());
  }
  Exact exact;
  for (const Tensor& y : call_once(prepare(group.kernel.prepare, group.pass, wide, attributes))) {
    exact.values.push_back(y.to_vector());
    // A gradient adds up what broadcasting had spread.
    const int64_t spread = elements / std::max<int64_t>(1, y.numel());
    exact.lengths.push_back(length * std::max<int64_t>(1, spread));
  }
  return exact;
}

double largest(const std::vector<double>& values) {
  double most = 0;
  for (const double v : values)
    if (std::isfinite(v)) most = std::max(most, std::fabs(v));
  return most;
}

// The largest error as a share of the tolerance; infinite for a NaN that f64 has not, and for other shapes. Where all
// values are far below 1, as a softmax's are, the tolerance is by the largest of them.
double error_of(const Outputs& outputs, const Exact& exact) {
  if (outputs.size() != exact.values.size()) return INFINITY;
  double worst = 0;
  for (size_t j = 0; j < outputs.size(); ++j) {
    const DType dtype = outputs[j].dtype();
    const std::vector<double> got = outputs[j].to_vector();
    const std::vector<double>& want = exact.values[j];
    if (got.size() != want.size()) return INFINITY;
    const double size = std::min(1.0, largest(want));
    for (size_t i = 0; i < got.size(); ++i) {
      if (got[i] == want[i] || (std::isnan(got[i]) && std::isnan(want[i]))) continue;
      const double share =
          is_floating(dtype)
              ? std::fabs(got[i] - want[i]) / (tolerance(dtype, exact.lengths[j], want[i] / size) * size)
              : INFINITY;
      worst = std::max(worst, std::isnan(share) ? INFINITY : share);
    }
  }
  return worst;
}

bool same_bits(const Outputs& a, const Outputs& b) {
  for (size_t j = 0; j < a.size(); ++j) {
    const std::vector<double> x = a[j].to_vector(), y = b[j].to_vector();
    if (x.size() != y.size() || std::memcmp(x.data(), y.data(), x.size() * sizeof(double)) != 0) return false;
  }
  return true;
}

}  // namespace

std::string shape_text(const OpCase& bench) {
  std::string text;
  for (const InputSpec& input : bench.inputs) {
    if (!text.empty()) text += ", ";
    std::string sizes;
    for (const int64_t size : input.shape) sizes += (sizes.empty() ? "" : "x") + std::to_string(size);
    text += sizes.empty() ? "1" : sizes;
  }
  return text;
}

namespace {

// `checked`: whether it is held against f64.
std::vector<Subject> made_ready(const BenchGroup& group, const Sizes& sizes, DType dtype, Device device,
                                bool checked) {
  const OpCase bench = group.kernel.bench(sizes);
  const std::vector<Tensor> inputs = make_inputs(bench, dtype);
  const std::vector<Tensor> there = converted(inputs, dtype, device);
  const Exact exact = checked ? exact_of(group, inputs, bench.attributes) : Exact();
  std::vector<Subject> subjects;
  for (const Technique& technique : group.techniques) {
    Subject s{.row = {.kernel = group.kernel.name,
                      .technique = technique.name,
                      .file = technique.file,
                      .role = technique.role,
                      .pass = name(group.pass),
                      .device = device.is_cpu() ? "cpu" : "cuda",
                      .shape = shape_text(bench)},
              .technique = technique,
              .call = nullptr};
    try {
      const InUse guard(technique);
      const auto again = [&] {
        return prepare(technique.prepare ? technique.prepare : group.kernel.prepare, group.pass, there,
                       bench.attributes);
      };
      if (!checked) {
        s.call = again();
        subjects.push_back(std::move(s));
        continue;
      }
      const PreparedCall first_call = again();
      const Outputs once = call_once(first_call);
      s.call = again();
      poison(once);
      const Outputs outputs = call_once(s.call);
      s.row.error = error_of(outputs, exact);
      s.row.deterministic = same_bits(once, outputs);
      if (group.pass == Pass::forward) {
        s.row.bytes = group.kernel.bytes(there, outputs);
        s.row.flops = group.kernel.flops(there, outputs);
      }
    } catch (const Error& error) {
      s.row.failure = error.what();
    }
    subjects.push_back(std::move(s));
  }
  return subjects;
}

}  // namespace

std::vector<Subject> make_ready(const BenchGroup& group, const Sizes& sizes, DType dtype, Device device) {
  return made_ready(group, sizes, dtype, device, true);
}

std::vector<Subject> make_ready_again(const BenchGroup& group, const Sizes& sizes, DType dtype,
                                      Device device) {
  return made_ready(group, sizes, dtype, device, false);
}

}  // namespace galvan
