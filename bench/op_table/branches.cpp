// The branches of a transformer's block, and its head with the loss.
#include "bench/op_table/branches.h"

#include <algorithm>
#include <cmath>

namespace galvan {
namespace {

InputSpec weight(int64_t out, int64_t in) {
  return {.shape = {out, in}, .scale = std::sqrt(3 / static_cast<double>(in))};
}

OpCase branch_case(std::string name, const Shape& x, int64_t hidden_out, int64_t hidden_in,
                   Attributes attributes = Attributes::object()) {
  const int64_t C = x.back();
  return {std::move(name),
          {{.shape = x},
           {.shape = x},
           weight(hidden_out, C),
           {.shape = {hidden_out}},
           weight(C, hidden_in),
           {.shape = {C}},
           {.shape = {C}, .offset = 1.5},
           {.shape = {C}}},
          std::move(attributes)};
}

Outputs both(const AddNorm& y) { return {y.sum, y.normed}; }

Outputs attention_call(Inputs in, const Attributes& a) {
  return both(attention_branch(in[0], in[1], {in[2], in[3]}, a.at("heads"), {in[4], in[5]}, {in[6], in[7]}));
}

Outputs attention_twin(Inputs in, const Attributes& a) {
  const Tensor y = packed_attention(linear(in[0], in[2], in[3]), a.at("heads"), a.at("heads"));
  return both(add_layer_norm(linear(y, in[4], in[5]), in[1], in[6], in[7]));
}

Outputs mlp_call(Inputs in, const Attributes&) {
  return both(mlp_branch(in[0], in[1], {in[2], in[3]}, {in[4], in[5]}, {in[6], in[7]}));
}

Outputs mlp_twin(Inputs in, const Attributes&) {
  return both(add_layer_norm(linear(gelu(linear(in[0], in[2], in[3])), in[4], in[5]), in[1], in[6], in[7]));
}

// Benchmarks are of widths for which there are kernels: as many tokens, in sequences of at most 64.
Shape narrow(const Sizes& n) {
  const int64_t T = std::min<int64_t>(n.T, 64);
  return {n.B * n.T / T, T, 128};
}

double products(Inputs in) {
  const double rows = static_cast<double>(in[0].numel() / in[0].size(-1));
  return 2 * rows * static_cast<double>(in[2].numel() + in[4].numel());
}

// The loss of bf16 rows is f32; rounded here, as the table's checks expect.
Outputs loss_call(Inputs in, const Attributes&) {
  return only(linear_cross_entropy(in[0], in[1], in[2], {.ignore_index = CrossEntropyOptions::kNone})
                  .to(in[0].dtype()));
}

}  // namespace

OpCase attention_branch_case(std::string name, const Shape& x, int64_t heads) {
  return branch_case(std::move(name), x, 3 * x.back(), x.back(), {{"heads", heads}});
}

OpCase mlp_branch_case(std::string name, const Shape& x, int64_t hidden) {
  return branch_case(std::move(name), x, hidden, hidden);
}

OpCase linear_cross_entropy_case(std::string name, const Shape& x, int64_t classes) {
  Shape rows = x;
  rows.erase(rows.rank() - 1);
  return {std::move(name),
          {{.shape = x}, weight(classes, x.back()), {.shape = rows, .dtype = DType::i32, .below = classes}}};
}

std::vector<OpRow> branch_rows() {
  return {
      {.name = "attention_branch",
       .op = "attention_branch",
       .call = attention_call,
       .length =
           [](Inputs in, const Attributes&) {
             return 4 * (in[0].size(1) + in[2].size(0) + in[2].size(1)) + in[0].numel() / in[0].size(-1);
           },
       .twin = attention_twin,
       .cases = {attention_branch_case("2x3x6", {2, 3, 6}, 2), attention_branch_case("1x1x4", {1, 1, 4}, 1)},
       .bench = [](const Sizes& n) { return attention_branch_case("narrow", narrow(n), 4); },
       .flops =
           [](Inputs in, const Outputs&) {
             return products(in) + 2.0 * double(in[0].numel()) * double(in[0].size(1) + 1);
           }},
      {.name = "mlp_branch",
       .op = "mlp_branch",
       .call = mlp_call,
       .length =
           [](Inputs in, const Attributes&) {
             return 4 * (in[2].size(0) + 2 * in[2].size(1)) + in[0].numel() / in[0].size(-1);
           },
       .twin = mlp_twin,
       .cases = {mlp_branch_case("3x5 by 7", {3, 5}, 7), mlp_branch_case("2x2x4 by 3", {2, 2, 4}, 3)},
       .bench = [](const Sizes& n) { return mlp_branch_case("narrow", narrow(n), 512); },
       .flops = [](Inputs in, const Outputs&) { return products(in); }},
      {.name = "linear_cross_entropy",
       .op = "linear_cross_entropy",
       .call = loss_call,
       .length = [](Inputs in, const Attributes&) { return in[1].size(0) + in[1].size(1) + in[2].numel(); },
       .twin =
           [](Inputs in, const Attributes&) {
             return only(cross_entropy(linear(in[0], in[1]), in[2]).to(in[0].dtype()));
           },
       .cases = {linear_cross_entropy_case("2x3x5 of 7", {2, 3, 5}, 7),
                 linear_cross_entropy_case("4x3 of 2", {4, 3}, 2)},
       .bench = [](const Sizes& n) { return linear_cross_entropy_case("narrow", narrow(n), n.V); },
       .flops = [](Inputs in,
                   const Outputs&) { return 2.0 * double(in[0].numel()) * double(in[1].size(0)); }},
  };
}

}  // namespace galvan
