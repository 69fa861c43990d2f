#include "bench/op_table/op_table.h"

namespace galvan {
namespace {

OpCase columns(const Sizes& n) {
  return {
      "columns", {{.shape = {n.B * n.T, 4 * n.C}}}, {{"dims", {0}}, {"keepdim", false}, {"correction", 1}}};
}

Over over(const Attributes& a) { return {.dims = a.at("dims"), .keepdim = a.at("keepdim")}; }

Shape sizes(const Attributes& a) {
  Shape shape;
  for (int64_t size : a.at("sizes").get<std::vector<int64_t>>()) shape.push_back(size);
  return shape;
}

// How many elements become one.
int64_t length(Inputs in, const Attributes& a) {
  int64_t n = 1;
  const std::vector<int> dims =
      a.contains("dims") ? a.at("dims").get<std::vector<int>>() : std::vector<int>{};
  for (int dim : dims) n *= in[0].size(dim);
  return dims.empty() ? in[0].numel() : n;
}

}  // namespace

std::vector<OpRow> reduce_rows() {
  return {
      {.name = "sum",
       .op = "sum",
       .call = [](Inputs in, const Attributes& a) { return only(sum(in[0], over(a))); },
       .length = length,
       .bench = columns},
      {.name = "sum_to",
       .op = "sum",
       .call = [](Inputs in, const Attributes& a) { return only(sum_to(in[0], sizes(a))); },
       .length = [](Inputs in, const Attributes& a) { return in[0].numel() / sizes(a).numel(); },
       .twin = [](Inputs in,
                  const Attributes& a) { return only(sum(in[0], {.dims = a.at("dims")}).reshape(sizes(a))); },
       .cases = {{"leading", {{.shape = {3, 5, 7}}}, {{"sizes", {7}}, {"dims", {0, 1}}}},
                 {"leading and middle", {{.shape = {3, 5, 7}}}, {{"sizes", {1, 7}}, {"dims", {0, 1}}}},
                 {"ends", {{.shape = {3, 5, 7}}}, {{"sizes", {1, 5, 1}}, {"dims", {0, 2}}}}},
       .bench = [](const Sizes& n) -> OpCase {
         return {"rows", {{.shape = {n.B * n.T, 4 * n.C}}}, {{"sizes", {4 * n.C}}}};
       }},
      {.name = "mean",
       .op = "mean",
       .call = [](Inputs in, const Attributes& a) { return only(mean(in[0], over(a))); },
       .length = length,
       .bench = columns},
      {.name = "max",
       .op = "max",
       .call = [](Inputs in, const Attributes& a) { return only(max(in[0], over(a))); },
       .bench = columns},
      {.name = "argmax",
       .op = "argmax",
       .call = [](Inputs in,
                  const Attributes& a) { return only(argmax(in[0], int(a.at("dim")), a.at("keepdim"))); },
       .has_backward = false,
       .bench = [](const Sizes& n) -> OpCase {
         return {"rows", {{.shape = {n.B * n.T, 4 * n.C}}}, {{"dim", 1}, {"keepdim", false}}};
       }},
      {.name = "sample",
       .op = "sample",
       .call = [](Inputs in, const Attributes&) { return only(sample(in[0], {.temperature = 0}, 0)); },
       .has_backward = false,
       .twin = [](Inputs in, const Attributes&) { return only(argmax(in[0], 0)); },
       .cases = {{"few", {{.shape = {7}}}}, {"many", {{.shape = {33}}}}},
       .bench = [](const Sizes&) -> OpCase {
         return {"GPT-2's logits", {{.shape = {50257}}}};
       }},
      {.name = "var",
       .op = "var",
       .call = [](Inputs in, const Attributes& a) { return only(var(in[0], over(a), a.at("correction"))); },
       .length = length,
       .bench = [](const Sizes& n) -> OpCase {
         return {"rows",
                 {{.shape = {n.B * n.T, 4 * n.C}}},
                 {{"dims", {1}}, {"keepdim", false}, {"correction", 1}}};
       }},
  };
}

}  // namespace galvan
