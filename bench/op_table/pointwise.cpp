#include <limits>

#include "bench/op_table/op_table.h"

namespace galvan {
namespace {

using Unary = Tensor (*)(const Tensor&);
using Binary = Tensor (*)(const Tensor&, const Tensor&);

Shape hidden(const Sizes& n) { return {n.B * n.T, 4 * n.C}; }

OpRow unary(const char* name, Unary f, double flops, std::vector<std::string> kinks = {}) {
  return {
      .name = name,
      .op = name,
      .call = [f](Inputs in, const Attributes&) { return only(f(in[0])); },
      .kinks = std::move(kinks),
      .bench = [name](const Sizes& n) -> OpCase {
        return {name, {{.shape = hidden(n), .offset = 0.125, .absolute = true}}};
      },
      .flops = [flops](Inputs, const Outputs& out) { return flops * static_cast<double>(out[0].numel()); }};
}

OpRow binary(const char* name, Binary f, bool has_backward = true) {
  return {.name = name,
          .op = name,
          .call = [f](Inputs in, const Attributes&) { return only(f(in[0], in[1])); },
          .has_backward = has_backward,
          .kinks = {"ties"},
          .bench = [name](const Sizes& n) -> OpCase {
            return {name, {{.shape = hidden(n)}, {.shape = hidden(n), .offset = 2.0}}};
          }};
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
       .bench = [](const Sizes& n) -> OpCase {
         return {"pow", {{.shape = hidden(n)}}, {{"exponent", 2.0}}};
       }},
      {.name = "clamp",
       .op = "clamp",
       .call =
           [](Inputs in, const Attributes& a) {
             const double inf = std::numeric_limits<double>::infinity();
             return only(clamp(in[0], a.value("min", -inf), a.value("max", inf)));
           },
       .kinks = {"bounds"},
       .bench = [](const Sizes& n) -> OpCase {
         return {"clamp", {{.shape = hidden(n)}}, {{"min", -0.5}, {"max", 0.5}}};
       }},
      {.name = "add_scalar",
       .op = "add",
       .call = [](Inputs in, const Attributes& a) { return only(add(in[0], double(a.at("c")))); },
       .twin =
           [](Inputs in, const Attributes& a) {
             return only(add(in[0], Tensor::full({}, a.at("c"), {.dtype = in[0].dtype()})));
           },
       .cases = {{"33", {{.shape = {33}}}, {{"c", 3.0}}}, {"empty", {{.shape = {0, 2}}}, {{"c", -1.0}}}},
       .bench = [](const Sizes& n) -> OpCase {
         return {"add_scalar", {{.shape = hidden(n)}}, {{"c", 3.0}}};
       }},
      {.name = "mul_scalar",
       .op = "mul",
       .call = [](Inputs in, const Attributes& a) { return only(mul(in[0], double(a.at("c")))); },
       .twin =
           [](Inputs in, const Attributes& a) {
             return only(mul(in[0], Tensor::full({}, a.at("c"), {.dtype = in[0].dtype()})));
           },
       .cases = {{"3x11", {{.shape = {3, 11}}}, {{"c", -2.0}}}},
       .bench = [](const Sizes& n) -> OpCase {
         return {"mul_scalar", {{.shape = hidden(n)}}, {{"c", 3.0}}};
       }},
      {.name = "where",
       .op = "where",
       .call = [](Inputs in, const Attributes&) { return only(where(in[0], in[1], in[2])); },
       .bench = [](const Sizes& n) -> OpCase {
         return {"where",
                 {{.shape = hidden(n), .dtype = DType::boolean}, {.shape = hidden(n)}, {.shape = hidden(n)}}};
       }},
      {.name = "masked_fill",
       .op = "masked_fill",
       .call = [](Inputs in, const Attributes& a) { return only(masked_fill(in[0], in[1], a.at("value"))); },
       .bench = [](const Sizes& n) -> OpCase {
         return {"masked_fill",
                 {{.shape = hidden(n)}, {.shape = {4 * n.C}, .dtype = DType::boolean}},
                 {{"value", 0.0}}};
       }},
      {.name = "tril",
       .op = "tril",
       .call = [](Inputs in, const Attributes& a) { return only(tril(in[0], a.at("diagonal"))); },
       .bench = [](const Sizes& n) -> OpCase {
         return {"tril", {{.shape = {n.B, n.T, n.T}}}, {{"diagonal", 0}}};
       }},
      {.name = "clone",
       .op = "copy",
       .call = [](Inputs in, const Attributes&) { return only(in[0].clone()); },
       .twin = [](Inputs in, const Attributes&) { return only(mul(in[0], 1.0)); },
       .cases = {{"3x11", {{.shape = {3, 11}}}}},
       .bench = [](const Sizes& n) -> OpCase {
         return {"clone", {{.shape = hidden(n)}}};
       }},
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
       .bench = [](const Sizes& n) -> OpCase {
         return {"fill", {{.shape = hidden(n)}}};
       }},
  };
}

}  // namespace galvan
