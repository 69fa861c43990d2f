#include <limits>

#include "tests/op_table/op_table.h"

namespace galvan {
namespace {

using Unary = Tensor (*)(const Tensor&);
using Binary = Tensor (*)(const Tensor&, const Tensor&);

const Shape kBench = {2048, 1536};

OpRow unary(const char* name, Unary f, double flops, std::vector<std::string> kinks = {}) {
  return {
      .name = name,
      .op = name,
      .call = [f](Inputs in, const Attributes&) { return only(f(in[0])); },
      .kinks = std::move(kinks),
      .bench = {name, {{.shape = kBench, .offset = 0.125, .absolute = true}}},
      .flops = [flops](Inputs, const Outputs& out) { return flops * static_cast<double>(out[0].numel()); }};
}

OpRow binary(const char* name, Binary f, bool has_backward = true) {
  return {.name = name,
          .op = name,
          .call = [f](Inputs in, const Attributes&) { return only(f(in[0], in[1])); },
          .has_backward = has_backward,
          .kinks = {"ties"},
          .bench = {name, {{.shape = kBench}, {.shape = kBench, .offset = 2.0}}}};
}

OpRow gelu_row(const char* name, Gelu form, double flops) {
  OpRow row = unary(name, nullptr, flops);
  row.op = "gelu";
  row.call = [form](Inputs in, const Attributes&) { return only(gelu(in[0], form)); };
  return row;
}

}  // namespace

std::vector<OpRow> pointwise_rows() {
  return {
      binary("add", add),
      binary("sub", sub),
      binary("mul", mul),
      binary("div", div),
      binary("maximum", maximum),
      binary("minimum", minimum),
      binary("eq", eq, false),
      binary("ne", ne, false),
      binary("lt", lt, false),
      binary("le", le, false),
      binary("gt", gt, false),
      binary("ge", ge, false),
      unary("neg", neg, 1),
      unary("exp", exp, 17),
      unary("log", log, 20, {"small"}),
      unary("sqrt", sqrt, 1),
      unary("abs", abs, 1, {"zero"}),
      unary("relu", relu, 1, {"extreme"}),
      unary("silu", silu, 20),
      unary("tanh", tanh, 32),
      unary("sigmoid", sigmoid, 19),
      gelu_row("gelu_tanh", Gelu::tanh, 25),
      gelu_row("gelu_exact", Gelu::exact, 50),
      {.name = "pow",
       .op = "pow",
       .call = [](Inputs in, const Attributes& a) { return only(pow(in[0], a.at("exponent"))); },
       .bench = {"pow", {{.shape = kBench}}, {{"exponent", 2.0}}}},
      {.name = "clamp",
       .op = "clamp",
       .call =
           [](Inputs in, const Attributes& a) {
             const double inf = std::numeric_limits<double>::infinity();
             return only(clamp(in[0], a.value("min", -inf), a.value("max", inf)));
           },
       .kinks = {"bounds"},
       .bench = {"clamp", {{.shape = kBench}}, {{"min", -0.5}, {"max", 0.5}}}},
      {.name = "add_scalar",
       .op = "add",
       .call = [](Inputs in, const Attributes& a) { return only(add(in[0], double(a.at("c")))); },
       .twin =
           [](Inputs in, const Attributes& a) {
             return only(add(in[0], Tensor::full({}, a.at("c"), {.dtype = in[0].dtype()})));
           },
       .cases = {{"33", {{.shape = {33}}}, {{"c", 3.0}}}, {"empty", {{.shape = {0, 2}}}, {{"c", -1.0}}}},
       .bench = {"add_scalar", {{.shape = kBench}}, {{"c", 3.0}}}},
      {.name = "mul_scalar",
       .op = "mul",
       .call = [](Inputs in, const Attributes& a) { return only(mul(in[0], double(a.at("c")))); },
       .twin =
           [](Inputs in, const Attributes& a) {
             return only(mul(in[0], Tensor::full({}, a.at("c"), {.dtype = in[0].dtype()})));
           },
       .cases = {{"3x11", {{.shape = {3, 11}}}, {{"c", -2.0}}}},
       .bench = {"mul_scalar", {{.shape = kBench}}, {{"c", 3.0}}}},
      {.name = "where",
       .op = "where",
       .call = [](Inputs in, const Attributes&) { return only(where(in[0], in[1], in[2])); },
       .bench = {"where",
                 {{.shape = kBench, .dtype = DType::boolean}, {.shape = kBench}, {.shape = kBench}}}},
      {.name = "masked_fill",
       .op = "masked_fill",
       .call = [](Inputs in, const Attributes& a) { return only(masked_fill(in[0], in[1], a.at("value"))); },
       .bench = {"masked_fill",
                 {{.shape = kBench}, {.shape = {kBench[1]}, .dtype = DType::boolean}},
                 {{"value", 0.0}}}},
      {.name = "tril",
       .op = "tril",
       .call = [](Inputs in, const Attributes& a) { return only(tril(in[0], a.at("diagonal"))); },
       .bench = {"tril", {{.shape = {8, 256, 256}}}, {{"diagonal", 0}}}},
      {.name = "clone",
       .op = "copy",
       .call = [](Inputs in, const Attributes&) { return only(in[0].clone()); },
       .twin = [](Inputs in, const Attributes&) { return only(mul(in[0], 1.0)); },
       .cases = {{"3x11", {{.shape = {3, 11}}}}},
       .bench = {"clone", {{.shape = kBench}}}},
      {.name = "fill",
       .op = "fill",
       .call =
           [](Inputs in, const Attributes&) {
             const Tensor y = Tensor::empty_like(in[0]);
             y.fill_(1.0);
             return only(y);
           },
       .has_backward = false,
       .twin = [](Inputs in, const Attributes&) { return only(add(mul(in[0].detach(), 0.0), 1.0)); },
       .cases = {{"3x11", {{.shape = {3, 11}}}}},
       .bench = {"fill", {{.shape = kBench}}}},
  };
}

}  // namespace galvan
