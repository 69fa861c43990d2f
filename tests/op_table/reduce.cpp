#include "tests/op_table/op_table.h"

namespace galvan {
namespace {

const OpCase kColumns = {
    "columns", {{.shape = {2048, 1536}}}, {{"dims", {0}}, {"keepdim", false}, {"correction", 1}}};

Over over(const Attributes& a) { return {.dims = a.at("dims"), .keepdim = a.at("keepdim")}; }

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
       .bench = kColumns},
  };
}

}  // namespace galvan
