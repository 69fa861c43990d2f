#include "bench/op_table/op_table.h"

#include <algorithm>
#include <cmath>

#include "core/random.h"

namespace galvan {

std::vector<OpRow> pointwise_rows();
std::vector<OpRow> reduce_rows();
std::vector<OpRow> row_rows();
std::vector<OpRow> product_rows();
std::vector<OpRow> branch_rows();
std::vector<OpRow> indexing_rows();

const std::vector<OpRow>& op_table() {
  static const std::vector<OpRow> table = [] {
    std::vector<OpRow> rows;
    for (const auto& family : {
             pointwise_rows,
             reduce_rows,
             row_rows,
             product_rows,
             branch_rows,
             indexing_rows,
         })
      for (OpRow& row : family()) rows.push_back(std::move(row));
    return rows;
  }();
  return table;
}

std::vector<Tensor> make_inputs(const OpCase& c, DType floating) {
  std::vector<Tensor> inputs;
  for (const InputSpec& spec : c.inputs) {
    Tensor v = Tensor::uniform(
        spec.shape, {.low = -1.0, .seed = inputs.size(), .stream = c.name, .tensor = {.dtype = DType::f64}});
    double* values = v.data<double>();
    for (int64_t i = 0; i < v.numel(); ++i) {
      double& x = values[i];
      if (spec.dtype == DType::i32) {
        x = std::floor((x + 1.0) / 2.0 * static_cast<double>(spec.below));
      } else if (spec.dtype == DType::boolean) {
        x = x < 0.0 ? 0.0 : 1.0;
      } else {
        x = spec.scale * (spec.absolute ? std::fabs(x) : x) + spec.offset;
      }
    }
    inputs.push_back(v.to(is_floating(spec.dtype) ? floating : spec.dtype));
  }
  return inputs;
}

double least_bytes(Inputs inputs, const Outputs& outputs) {
  const auto is_view = [&](const Tensor& y) {
    return std::any_of(inputs.begin(), inputs.end(),
                       [&](const Tensor& x) { return x.impl()->storage == y.impl()->storage; });
  };
  if (std::all_of(outputs.begin(), outputs.end(), is_view)) return 0.0;
  double bytes = 0.0;
  for (const Tensor& x : inputs) bytes += static_cast<double>(x.numel() * size_of(x.dtype()));
  for (const Tensor& y : outputs) bytes += static_cast<double>(y.numel() * size_of(y.dtype()));
  return bytes;
}

}  // namespace galvan
