// Times every op of the op table, and looks whether what it gives is right.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <regex>

#include "apps/bench/table.h"
#include "apps/machine.h"
#include "core/autograd.h"
#include "core/check.h"
#include "core/cpu/peak.h"
#include "op_table/op_table.h"
#include "op_table/tolerance.h"

namespace galvan {
namespace {

std::string shape_of(Inputs inputs) {
  std::string text;
  for (const Tensor& x : inputs) {
    if (!text.empty()) text += ", ";
    std::string sizes;
    for (int d = 0; d < x.rank(); ++d) sizes += (d > 0 ? "x" : "") + std::to_string(x.size(d));
    text += sizes.empty() ? "1" : sizes;
  }
  return text;
}

// Seconds of a call. What takes less than 50 us is called several times in a row, and divided.
std::vector<double> time_calls(int samples, const std::function<void()>& call) {
  using Clock = std::chrono::steady_clock;
  const auto seconds_of = [&](int64_t calls) {
    const auto start = Clock::now();
    for (int64_t i = 0; i < calls; ++i) call();
    return std::chrono::duration<double>(Clock::now() - start).count();
  };
  call();  // warms up
  const double once = std::max(seconds_of(1), 1e-9);
  const int64_t calls = std::max<int64_t>(1, static_cast<int64_t>(5e-5 / once));
  std::vector<double> times;
  for (int i = 0; i < samples; ++i) times.push_back(seconds_of(calls) / static_cast<double>(calls));
  return times;
}

// The largest error beside the same op in f64, as a share of the tolerance; infinite for a NaN that f64 has not.
double error_of(const OpRow& row, Inputs inputs, const Attributes& attributes, const Outputs& outputs) {
  std::vector<Tensor> wide;
  for (const Tensor& x : inputs) wide.push_back(is_floating(x.dtype()) ? x.to(DType::f64) : x);
  const Outputs exact = row.call(wide, attributes);
  double worst = 0;
  for (size_t j = 0; j < outputs.size(); ++j) {
    const DType dtype = outputs[j].dtype();
    const std::vector<double> got = outputs[j].to_vector(), want = exact[j].to_vector();
    for (size_t i = 0; i < got.size(); ++i) {
      if (got[i] == want[i] || (std::isnan(got[i]) && std::isnan(want[i]))) continue;
      const double allowed =
          is_floating(dtype) ? tolerance(dtype, row.length(inputs, attributes), want[i]) : 0.0;
      const double share = std::fabs(got[i] - want[i]) / allowed;
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

BenchTable measure_ops(const BenchOptions& options,
                       const std::function<void(const BenchTable&, const BenchRow&)>& on_row) {
  std::regex filter;
  try {
    filter.assign(options.filter);
  } catch (const std::regex_error&) {
    fail("--filter: '", options.filter, "' is not a regular expression");
  }
  BenchTable table{.dtype = name(options.dtype),
                   .bytes_per_second = measure_copy_bandwidth(),
                   .flops_per_second = measure_peak_flops(0.2)};
  if (options.dtype == DType::f64) table.flops_per_second /= 2;  // half as many in a register
  const auto add = [&](BenchRow row, const std::function<void()>& call) {
    row.times = time_calls(options.samples, call);
    table.rows.push_back(std::move(row));
    on_row(table, table.rows.back());
  };
  for (const OpRow& op : op_table()) {
    const bool forward = std::regex_search(op.name + " forward", filter);
    const bool both = op.has_backward && std::regex_search(op.name + " forward and backward", filter);
    if ((!forward && !both) || !types_of(op.op).contains(options.dtype)) continue;
    const OpCase bench = op.bench({});
    const Attributes& attributes = bench.attributes;
    std::vector<Tensor> inputs = make_inputs(bench, options.dtype);
    Outputs outputs, again;
    {
      NoGrad guard;
      outputs = op.call(inputs, attributes);
      again = op.call(inputs, attributes);
    }
    BenchRow row{.op = op.name, .pass = "forward", .shape = shape_of(inputs)};
    if (forward) {
      row.bytes = least_bytes(inputs, outputs);
      row.flops = op.flops(inputs, outputs);
      NoGrad guard;
      row.error = error_of(op, inputs, attributes, outputs);
      row.deterministic = same_bits(outputs, again);
      add(row, [&] { again = op.call(inputs, attributes); });
    }
    if (both) {
      std::vector<Tensor> leaves, upstream;
      for (Tensor& x : inputs)
        if (is_floating(x.dtype())) leaves.push_back(x.set_requires_grad());
      for (const Tensor& y : outputs) upstream.push_back(Tensor::ones(y.shape(), {.dtype = y.dtype()}));
      const auto call = [&] { return grad(op.call(inputs, attributes), leaves, upstream); };
      row = {.op = op.name, .pass = "forward and backward", .shape = row.shape};
      row.deterministic = same_bits(call(), call());
      add(row, [&] { call(); });
    }
  }
  check(!table.rows.empty(), "--filter: no op that has ", table.dtype, " is found by '", options.filter, "'");
  return table;
}

}  // namespace galvan
