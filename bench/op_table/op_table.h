// The one table of ops. A row says how to call an op and what it costs; tests/core/ops.cpp checks each row
// against PyTorch's values, its gradients, its dtypes and its determinism, and the benchmarks time it. Adding an op
// adds one row.
//
// A family of ops has a file here that defines `std::vector<OpRow> FAMILY_rows()`, named in op_table.cpp.
#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "bench/op_table/call.h"
#include "core/ops.h"

namespace galvan {

// A tensor to be made: scale v + offset for real numbers, v uniform in [-1, 1) (|v| when absolute); whole numbers
// in [0, below) for i32; coin tosses for bool. f64 stands for whatever floating-point type the op is called with.
struct InputSpec {
  Shape shape;
  DType dtype = DType::f64;
  int64_t below = 2;
  double scale = 1.0;
  double offset = 0.0;
  bool absolute = false;
};

struct OpCase {
  std::string name;
  std::vector<InputSpec> inputs;
  Attributes attributes = Attributes::object();
};

// What the shapes of benchmarks are made of: batch, time, channels, heads, vocabulary; those of preset shakespeare-char.
struct Sizes {
  int64_t B = 8, T = 256, C = 384, H = 6, V = 65;
  int64_t D() const { return C / H; }
};

struct OpRow {
  std::string name;  // unique; its cases in tests/golden/ops.json have it as their op
  std::string op;    // its row in kOpTypes
  std::function<Outputs(Inputs, const Attributes&)> call;
  // How many terms the longest sum in the op has, on which the tolerance depends (bench/op_table/tolerance.h).
  std::function<int64_t(Inputs, const Attributes&)> length = [](Inputs, const Attributes&) {
    return int64_t{1};
  };
  bool has_backward = true;
  // For an op that PyTorch lacks: the same composed of other ops, and the cases to compare the two on. Rows
  // without golden values need both; others may have more cases that way.
  std::function<Outputs(Inputs, const Attributes&)> twin = nullptr;
  std::vector<OpCase> cases = {};
  // Parts of names of the cases in which the op has a kink, where differences say nothing about the gradient.
  std::vector<std::string> kinks = {};
  // What the benchmark runs, of given sizes; forward FLOPs, 0 where bandwidth is what counts.
  std::function<OpCase(const Sizes&)> bench = nullptr;
  std::function<double(Inputs, const Outputs&)> flops = [](Inputs, const Outputs&) { return 0.0; };
};

const std::vector<OpRow>& op_table();

// The inputs of a case, real ones of type `floating`; the same at every call.
std::vector<Tensor> make_inputs(const OpCase& c, DType floating);

// Bytes that a forward pass cannot do without: every input read, every output written once; of views none.
double least_bytes(Inputs inputs, const Outputs& outputs);

}  // namespace galvan
