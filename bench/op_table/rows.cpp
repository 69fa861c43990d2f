// Ops over rows: softmax, norms, cross-entropy; and the fused pointwise ops.
#include "bench/op_table/op_table.h"

namespace galvan {
namespace {

Shape rows_of(const Sizes& n) { return {n.B * n.T, n.C}; }
Shape wide_rows_of(const Sizes& n) { return {n.B * n.T, 4 * n.C}; }

int64_t row_length(Inputs in, const Attributes&) { return in[0].rank() > 0 ? in[0].shape().back() : 1; }
// A norm magnifies the rounding errors of its input by up to rstd: a little for rows of random numbers, 1/sqrt(eps)
// for a row of one number. The tolerance grows with the root of the length.
int64_t norm_length(Inputs in, const Attributes&) {
  return in[0].shape().back() == 1 ? 100000 : 16 * in[0].shape().back();
}
int64_t dim_length(Inputs in, const Attributes& a) { return in[0].rank() > 0 ? in[0].size(a.at("dim")) : 1; }
int64_t all_length(Inputs in, const Attributes&) { return in[0].numel(); }

double flops_of(double each, Inputs in) { return each * static_cast<double>(in[0].numel()); }

double eps_of(const Attributes& a) { return a.value("eps", 1e-5); }

OpRow softmax_row(const char* name, Tensor (*f)(const Tensor&, int)) {
  return {.name = name,
          .op = name,
          .call = [f](Inputs in, const Attributes& a) { return only(f(in[0], a.at("dim"))); },
          .length = dim_length,
          .kinks = {"infinity"},
          .bench = [name](const Sizes& n) -> OpCase {
            return {name, {{.shape = rows_of(n)}}, {{"dim", -1}}};
          },
          .flops = [](Inputs in, const Outputs&) { return flops_of(21, in); }};
}

CrossEntropyOptions cross_entropy_options(const Attributes& a) {
  const std::string reduction = a.at("reduction");
  return {.ignore_index = a.at("ignore_index"),
          .label_smoothing = a.at("label_smoothing"),
          .reduction = reduction == "mean"  ? Reduction::mean
                       : reduction == "sum" ? Reduction::sum
                                            : Reduction::none};
}

Gelu gelu_form(const Attributes& a) { return a.at("exact") ? Gelu::exact : Gelu::tanh; }

}  // namespace

// A norm's gradient is so curved at a row without spread that differences are too coarse there: its kinks.
std::vector<OpRow> row_rows() {
  return {
      softmax_row("softmax", softmax),
      softmax_row("log_softmax", log_softmax),
      {.name = "layer_norm",
       .op = "layer_norm",
       .call = [](Inputs in,
                  const Attributes& a) { return only(layer_norm(in[0], in[1], in[2], eps_of(a))); },
       .length = norm_length,
       .kinks = {" row"},
       .bench = [](const Sizes& n) -> OpCase {
         return {"layer_norm", {{.shape = rows_of(n)}, {.shape = {n.C}}, {.shape = {n.C}}}};
       },
       .flops = [](Inputs in, const Outputs&) { return flops_of(8, in); }},
      {.name = "rms_norm",
       .op = "rms_norm",
       .call = [](Inputs in, const Attributes& a) { return only(rms_norm(in[0], in[1], eps_of(a))); },
       .length = norm_length,
       .kinks = {" row", "3x1"},
       .bench = [](const Sizes& n) -> OpCase {
         return {"rms_norm", {{.shape = rows_of(n)}, {.shape = {n.C}}}};
       },
       .flops = [](Inputs in, const Outputs&) { return flops_of(4, in); }},
      {.name = "add_layer_norm",
       .op = "add_layer_norm",
       .call =
           [](Inputs in, const Attributes&) {
             const AddNorm y = add_layer_norm(in[0], in[1], in[2], in[3]);
             return Outputs{y.sum, y.normed};
           },
       .length = norm_length,
       .twin =
           [](Inputs in, const Attributes&) {
             const Tensor sum = add(in[0], in[1]);
             return Outputs{sum, layer_norm(sum, in[2], in[3])};
           },
       .cases = {{"3x5", {{.shape = {3, 5}}, {.shape = {3, 5}}, {.shape = {5}}, {.shape = {5}}}},
                 {"2x3x33",
                  {{.shape = {2, 3, 33}}, {.shape = {2, 3, 33}}, {.shape = {33}}, {.shape = {33}}}}},
       .bench = [](const Sizes& n) -> OpCase {
         return {"add_layer_norm",
                 {{.shape = rows_of(n)}, {.shape = rows_of(n)}, {.shape = {n.C}}, {.shape = {n.C}}}};
       },
       .flops = [](Inputs in, const Outputs&) { return flops_of(9, in); }},
      {.name = "keep_layer_norm",
       .op = "keep_layer_norm",
       .call =
           [](Inputs in, const Attributes&) {
             const AddNorm y = keep_layer_norm(in[0], in[1], in[2]);
             return Outputs{y.sum, y.normed};
           },
       .length = norm_length,
       .twin =
           [](Inputs in, const Attributes&) {
             return Outputs{mul(in[0], 1.0), layer_norm(in[0], in[1], in[2])};
           },
       .cases = {{"3x5", {{.shape = {3, 5}}, {.shape = {5}}, {.shape = {5}}}},
                 {"2x3x33", {{.shape = {2, 3, 33}}, {.shape = {33}}, {.shape = {33}}}}},
       .bench = [](const Sizes& n) -> OpCase {
         return {"keep_layer_norm", {{.shape = rows_of(n)}, {.shape = {n.C}}, {.shape = {n.C}}}};
       },
       .flops = [](Inputs in, const Outputs&) { return flops_of(8, in); }},
      {.name = "keep_rms_norm",
       .op = "keep_rms_norm",
       .call =
           [](Inputs in, const Attributes&) {
             const AddNorm y = keep_rms_norm(in[0], in[1]);
             return Outputs{y.sum, y.normed};
           },
       .length = norm_length,
       .twin =
           [](Inputs in, const Attributes&) {
             return Outputs{mul(in[0], 1.0), rms_norm(in[0], in[1])};
           },
       .cases = {{"3x5", {{.shape = {3, 5}}, {.shape = {5}}}},
                 {"2x3x33", {{.shape = {2, 3, 33}}, {.shape = {33}}}}},
       .bench = [](const Sizes& n) -> OpCase {
         return {"keep_rms_norm", {{.shape = rows_of(n)}, {.shape = {n.C}}}};
       },
       .flops = [](Inputs in, const Outputs&) { return flops_of(4, in); }},
      {.name = "add_rms_norm",
       .op = "add_rms_norm",
       .call =
           [](Inputs in, const Attributes&) {
             const AddNorm y = add_rms_norm(in[0], in[1], in[2]);
             return Outputs{y.sum, y.normed};
           },
       .length = norm_length,
       .twin =
           [](Inputs in, const Attributes&) {
             const Tensor sum = add(in[0], in[1]);
             return Outputs{sum, rms_norm(sum, in[2])};
           },
       .cases = {{"3x5", {{.shape = {3, 5}}, {.shape = {3, 5}}, {.shape = {5}}}},
                 {"2x3x33", {{.shape = {2, 3, 33}}, {.shape = {2, 3, 33}}, {.shape = {33}}}}},
       .bench = [](const Sizes& n) -> OpCase {
         return {"add_rms_norm", {{.shape = rows_of(n)}, {.shape = rows_of(n)}, {.shape = {n.C}}}};
       },
       .flops = [](Inputs in, const Outputs&) { return flops_of(5, in); }},
      {.name = "bias_gelu",
       .op = "bias_gelu",
       .call = [](Inputs in, const Attributes& a) { return only(bias_gelu(in[0], in[1], gelu_form(a))); },
       .length = row_length,
       .twin = [](Inputs in, const Attributes& a) { return only(gelu(add(in[0], in[1]), gelu_form(a))); },
       .cases = {{"3x5", {{.shape = {3, 5}, .scale = 4.0}, {.shape = {5}}}, {{"exact", false}}},
                 {"3x5 exact", {{.shape = {3, 5}, .scale = 4.0}, {.shape = {5}}}, {{"exact", true}}},
                 {"2x3x33", {{.shape = {2, 3, 33}}, {.shape = {33}}}, {{"exact", false}}}},
       .bench = [](const Sizes& n) -> OpCase {
         return {"bias_gelu", {{.shape = wide_rows_of(n)}, {.shape = {4 * n.C}}}, {{"exact", false}}};
       },
       .flops = [](Inputs in, const Outputs&) { return flops_of(26, in); }},
      {.name = "silu_mul",
       .op = "silu_mul",
       .call = [](Inputs in, const Attributes&) { return only(silu_mul(in[0], in[1])); },
       .twin = [](Inputs in, const Attributes&) { return only(mul(silu(in[0]), in[1])); },
       .cases = {{"3x11", {{.shape = {3, 11}, .scale = 4.0}, {.shape = {3, 11}}}}},
       .bench = [](const Sizes& n) -> OpCase {
         return {"silu_mul", {{.shape = wide_rows_of(n)}, {.shape = wide_rows_of(n)}}};
       },
       .flops = [](Inputs in, const Outputs&) { return flops_of(21, in); }},
      // The loss of bf16 logits is f32; rounded here, as the table's checks expect.
      {.name = "cross_entropy",
       .op = "cross_entropy",
       .call =
           [](Inputs in, const Attributes& a) {
             return only(cross_entropy(in[0], in[1], cross_entropy_options(a)).to(in[0].dtype()));
           },
       .length = all_length,
       .bench = [](const Sizes& n) -> OpCase {
         return {"cross_entropy",
                 {{.shape = {n.B * n.T, n.V}}, {.shape = {n.B * n.T}, .dtype = DType::i32, .below = n.V}},
                 {{"reduction", "mean"}, {"ignore_index", -100}, {"label_smoothing", 0.0}}};
       },
       .flops = [](Inputs in, const Outputs&) { return flops_of(20, in); }},
  };
}

}  // namespace galvan
