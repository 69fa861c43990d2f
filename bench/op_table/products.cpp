// Matrix products and attention.
#include <cmath>

#include "bench/op_table/op_table.h"

namespace galvan {
namespace {

MatmulOptions matmul_options(const Attributes& a) {
  return {.transpose_a = a.value("transpose_a", false), .transpose_b = a.value("transpose_b", false)};
}

AttentionOptions attention_options(const Attributes& a) {
  return {.causal = a.at("causal"), .scale = a.at("scale").get<double>()};
}

// A gradient of attention is a sum over D, then over the keys or queries.
int64_t attention_length(Inputs in, const Attributes&) { return 16 * in[0].size(-1) * in[1].size(-2); }

// Heads `first` on, `count` of them, of a packed [B, T, heads D], as [B, count, T, D].
Tensor heads_of(const Tensor& x, int64_t first, int64_t count, int64_t D) {
  return x.slice(2, first * D, (first + count) * D).reshape({x.size(0), x.size(1), count, D}).transpose(1, 2);
}

Outputs packed_twin(Inputs in, const Attributes& a) {
  const int64_t H = a.at("heads"), G = a.at("kv_heads"), D = in[0].size(2) / (H + 2 * G);
  const Tensor q = heads_of(in[0], 0, H, D), k = heads_of(in[0], H, G, D), v = heads_of(in[0], H + G, G, D);
  return only(attention(q, k, v).transpose(1, 2).reshape({in[0].size(0), in[0].size(1), H * D}));
}

// Of weights, such that products of so many terms are about 1 in size, as those of a model are.
double weight_scale(int64_t terms) { return std::sqrt(3 / static_cast<double>(terms)); }

// x of this shape through a hidden layer to so many outputs.
OpCase mlp_case(const char* name, const Shape& x, int64_t hidden, int64_t outputs, double up = 1,
                double down = 0.5) {
  return {name,
          {{.shape = x},
           {.shape = {hidden, x.back()}, .scale = up},
           {.shape = {hidden}},
           {.shape = {outputs, hidden}, .scale = down},
           {.shape = {outputs}}}};
}

}  // namespace

std::vector<OpRow> product_rows() {
  return {
      {.name = "matmul",
       .op = "matmul",
       .call = [](Inputs in, const Attributes& a) { return only(matmul(in[0], in[1], matmul_options(a))); },
       .length = [](Inputs in,
                    const Attributes& a) { return in[0].size(matmul_options(a).transpose_a ? -2 : -1); },
       .bench = [](const Sizes& n) -> OpCase {
         return {"square", {{.shape = {n.B * n.T, n.C}}, {.shape = {n.C, n.C}, .scale = weight_scale(n.C)}}};
       },
       .flops = [](Inputs in,
                   const Outputs& y) { return 2.0 * double(y[0].numel()) * double(in[0].size(-1)); }},
      {.name = "linear",
       .op = "linear",
       .call = [](Inputs in,
                  const Attributes&) { return only(linear(in[0], in[1], in.size() > 2 ? in[2] : Tensor())); },
       .length = [](Inputs in, const Attributes&) { return in[0].size(-1) + in[1].size(0) + 1; },
       .bench = [](const Sizes& n) -> OpCase {
         return {"up",
                 {{.shape = {n.B * n.T, n.C}},
                  {.shape = {4 * n.C, n.C}, .scale = weight_scale(n.C)},
                  {.shape = {4 * n.C}}}};
       },
       .flops = [](Inputs in,
                   const Outputs& y) { return 2.0 * double(y[0].numel()) * double(in[0].size(-1)); }},
      {.name = "gelu_mlp",
       .op = "gelu_mlp",
       .call = [](Inputs in, const Attributes&) { return only(gelu_mlp(in[0], in[1], in[2], in[3], in[4])); },
       .length =
           [](Inputs in, const Attributes&) {
             return 4 * (in[1].size(0) + in[1].size(1) + in[3].size(0)) + in[0].numel() / in[0].size(-1);
           },
       .twin =
           [](Inputs in, const Attributes&) {
             return only(linear(gelu(linear(in[0], in[1], in[2])), in[3], in[4]));
           },
       .cases = {mlp_case("3x5 by 7", {3, 5}, 7, 4), mlp_case("2x9x16 by 64", {2, 9, 16}, 64, 16),
                 mlp_case("1x1 by 8", {1, 1}, 8, 1), mlp_case("33x24 by 40", {33, 24}, 40, 3)},
       .bench =
           [](const Sizes& n) {
             return mlp_case("mlp", {n.B * n.T, n.C}, 4 * n.C, n.C, weight_scale(n.C), weight_scale(4 * n.C));
           },
       .flops =
           [](Inputs in, const Outputs&) {
             return 2.0 * double(in[0].numel()) * double(in[1].size(0)) +
                    2.0 * double(in[0].numel() / in[0].size(-1)) * double(in[3].numel());
           }},
      {.name = "attention",
       .op = "attention",
       .call = [](Inputs in,
                  const Attributes& a) { return only(attention(in[0], in[1], in[2], attention_options(a))); },
       .length = attention_length,
       .bench = [](const Sizes& n) -> OpCase {
         const Shape heads = {n.B, n.H, n.T, n.D()};
         return {"causal",
                 {{.shape = heads}, {.shape = heads}, {.shape = heads}},
                 {{"causal", true}, {"scale", 1 / std::sqrt(static_cast<double>(n.D()))}}};
       },
       .flops = [](Inputs in,
                   const Outputs&) { return 2.0 * double(in[0].numel()) * double(in[0].size(2) + 1); }},
      {.name = "packed_attention",
       .op = "attention",
       .call =
           [](Inputs in, const Attributes& a) {
             return only(packed_attention(in[0], a.at("heads"), a.at("kv_heads")));
           },
       .length = [](Inputs in, const Attributes&) { return 16 * in[0].size(1) * in[0].size(2); },
       .twin = packed_twin,
       .cases = {{"grouped", {{.shape = {2, 7, 32}}}, {{"heads", 4}, {"kv_heads", 2}}},
                 {"one token", {{.shape = {3, 1, 15}}}, {{"heads", 1}, {"kv_heads", 1}}}},
       .bench = [](const Sizes& n) -> OpCase {
         return {"packed", {{.shape = {n.B, n.T, 3 * n.C}}}, {{"heads", n.H}, {"kv_heads", n.H}}};
       },
       .flops = [](Inputs in,
                   const Outputs& y) { return 2.0 * double(y[0].numel()) * double(in[0].size(1) + 1); }},
  };
}

}  // namespace galvan
