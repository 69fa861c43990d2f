// The op table's cases, run: what tests/core/ops.cpp and tests/cuda/ops.cpp share.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "bench/op_table/op_table.h"
#include "bench/op_table/tolerance.h"
#include "core/autograd.h"
#include "tests/core/golden.h"
#include "tests/core/leaves.h"

namespace galvan {

// One case of one row, in f64.
struct Sample {
  std::string name;
  std::vector<Tensor> inputs;
  Attributes attributes;
  bool golden = false;
  // Golden ones; empty for an input without a gradient.
  std::vector<std::vector<double>> outputs = {};
  std::vector<std::vector<double>> upstream = {};
  std::vector<std::vector<double>> grads = {};
};

inline const OpRow& row_named(const std::string& name) {
  const auto row =
      std::find_if(op_table().begin(), op_table().end(), [&](const OpRow& r) { return r.name == name; });
  REQUIRE(row != op_table().end());
  return *row;
}

inline bool has_golden(const OpRow& row) {
  static const nlohmann::json file = golden_file("ops.json");
  return std::any_of(file.at("cases").begin(), file.at("cases").end(),
                     [&](const nlohmann::json& c) { return c.at("op") == row.name; });
}

inline std::vector<Sample> samples(const OpRow& row) {
  std::vector<Sample> all;
  if (has_golden(row)) {
    for (const GoldenCase& c : golden_cases(row.name)) {
      Sample s{.name = c.name, .inputs = {}, .attributes = c.attributes, .golden = true};
      for (const GoldenInput& in : c.inputs) {
        const DType dtype = in.dtype == "f64" ? DType::f64 : in.dtype == "i32" ? DType::i32 : DType::boolean;
        s.inputs.push_back(Tensor::from(in.values, shape_of(in.shape), {.dtype = dtype}));
        s.grads.push_back(in.grad);
      }
      for (const GoldenOutput& y : c.outputs) {
        s.outputs.push_back(y.values);
        s.upstream.push_back(y.upstream);
      }
      all.push_back(std::move(s));
    }
  }
  for (const OpCase& c : row.cases)
    all.push_back({.name = row.name + " " + c.name,
                   .inputs = make_inputs(c, DType::f64),
                   .attributes = c.attributes,
                   .golden = false});
  return all;
}

// Real inputs converted to dtype.
inline std::vector<Tensor> converted(std::span<const Tensor> inputs, DType dtype) {
  std::vector<Tensor> out;
  for (const Tensor& x : inputs) out.push_back(is_floating(x.dtype()) ? x.to(dtype) : x);
  return out;
}

struct Result {
  Outputs outputs;
  Grads grads;  // undefined for inputs that have none
};

using Call = std::function<Outputs(Inputs, const Attributes&)>;

// Runs forward and, for a row with one, backward. Upstream gradients, where none are given, are random and rounded
// to bf16, so that every dtype gets the same.
inline Result run(const OpRow& row, const Call& call, std::span<const Tensor> inputs, const Sample& s) {
  std::vector<Tensor> xs, leaves;
  for (const Tensor& x : inputs) {
    xs.push_back(x.detach());
    if (row.has_backward && is_floating(x.dtype())) leaves.push_back(xs.back().set_requires_grad());
  }
  RandomContext::current().begin(1, 0, 0);
  Result r;
  r.outputs = call(xs, s.attributes);
  std::vector<Tensor> ys, upstream;
  for (size_t j = 0; j < r.outputs.size(); ++j) {
    const Tensor& y = r.outputs[j];
    CHECK(y.requires_grad() == (row.has_backward && is_floating(y.dtype())));
    if (!y.requires_grad()) continue;
    ys.push_back(y);
    upstream.push_back(s.golden ? Tensor::from(s.upstream[j], y.shape())
                                : Tensor::uniform(y.shape(), {.low = -1, .seed = j}));
    upstream.back() = upstream.back().to(DType::bf16).to(y.dtype());
    if (s.golden && y.dtype() == DType::f64) upstream.back() = Tensor::from(s.upstream[j], y.shape());
    upstream.back() = upstream.back().to(y.device());
  }
  r.grads.resize(inputs.size());
  if (ys.empty()) return r;
  const Grads got = grad(ys, leaves, upstream);
  for (size_t i = 0, leaf = 0; i < inputs.size(); ++i)
    if (is_floating(inputs[i].dtype())) r.grads[i] = got[leaf++];
  return r;
}

// The same values with the last two dimensions swapped in memory.
inline Tensor swapped(const Tensor& x) {
  return x.rank() < 2 ? x : x.transpose(-1, -2).clone().transpose(-1, -2);
}
inline std::vector<Tensor> swapped(std::span<const Tensor> inputs) {
  std::vector<Tensor> out;
  for (const Tensor& x : inputs) out.push_back(swapped(x));
  return out;
}

// Calls the row's op, and has its upstream gradients laid out so.
inline Call on_swapped(const OpRow& row) {
  return [&row](Inputs in, const Attributes& attributes) {
    Outputs out = row.call(in, attributes);
    for (Tensor& y : out)
      if (y.requires_grad()) y = swapped(y);
    return out;
  };
}

inline void check_close(const Tensor& got, const std::vector<double>& want, DType dtype, int64_t length,
                        double slack = 1.0) {
  const std::vector<double> values = got.to_vector();
  REQUIRE(values.size() == want.size());
  for (size_t i = 0; i < want.size(); ++i) {
    if (!std::isfinite(want[i])) {
      CHECK((std::isnan(want[i]) ? std::isnan(values[i]) : values[i] == want[i]));
    } else if (!(std::fabs(values[i] - want[i]) <= slack * tolerance(dtype, length, want[i]))) {
      FAIL_CHECK("element " << i << " of " << got.shape() << ": got " << values[i] << ", expected " << want[i]
                            << ", tolerance " << slack * tolerance(dtype, length, want[i]));
    }
  }
}

// A gradient adds up what broadcasting had spread.
inline int64_t gradient_length(const OpRow& row, const Sample& s, const Tensor& x, const Outputs& outputs) {
  int64_t spread = 1;
  for (const Tensor& y : outputs) spread = std::max(spread, y.numel() / std::max<int64_t>(1, x.numel()));
  return row.length(s.inputs, s.attributes) * spread;
}

// Whether no argument has a fraction, so that whole numbers can stand for all.
inline bool is_whole(const Attributes& attributes) {
  return std::all_of(attributes.begin(), attributes.end(), [](const nlohmann::json& a) {
    return !a.is_number_float() || a.get<double>() == std::floor(a.get<double>());
  });
}

// Real inputs as whole numbers of dtype i32 or bool.
inline std::vector<Tensor> whole_numbers(std::span<const Tensor> inputs, DType dtype) {
  std::vector<Tensor> out;
  for (const Tensor& x : inputs) {
    const bool real = is_floating(x.dtype());
    const Tensor scaled = real ? mul(x, dtype == DType::i32 ? 8.0 : 1.0) : x;
    out.push_back(!real ? x : dtype == DType::i32 ? scaled.to(DType::i32) : gt(scaled, mul(scaled, 0.0)));
  }
  return out;
}

}  // namespace galvan
