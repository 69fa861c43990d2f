// Reductions against a plain loop, and their order of summation.
#include <doctest/doctest.h>

#include "core/ops.h"
#include "core/parallel.h"

using namespace galvan;

TEST_CASE("sum equals a plain loop for every set of dimensions") {
  const Tensor x = Tensor::uniform({3, 1, 33, 5}, {.low = -1, .seed = 7, .tensor = {.dtype = DType::f64}});
  const std::vector<double> values = x.to_vector();
  for (int set = 0; set < 16; ++set) {
    Over over{.dims = {}, .keepdim = true};
    for (int dim = 0; dim < 4; ++dim)
      if (set >> dim & 1) over.dims.push_back(dim - (dim % 2 ? 4 : 0));
    Shape shape = x.shape();
    for (int dim = 0; dim < 4; ++dim)
      if (set == 0 || set >> dim & 1) shape[dim] = 1;
    std::vector<double> expected(shape.numel(), 0.0);
    const Strides strides = contiguous_strides(shape);
    for (int64_t i = 0; i < x.numel(); ++i) {
      int64_t rest = i, at = 0;
      for (int dim = 3; dim >= 0; --dim) {
        if (shape[dim] > 1) at += rest % x.shape()[dim] * strides[dim];
        rest /= x.shape()[dim];
      }
      expected[at] += values[i];
    }
    for (const Tensor& in : {x, x.permute({2, 0, 3, 1}).contiguous().permute({1, 3, 0, 2})}) {
      const Tensor y = sum(in, over);
      CHECK(y.shape() == shape);
      const std::vector<double> got = y.to_vector();
      for (size_t i = 0; i < got.size(); ++i) CHECK(got[i] == doctest::Approx(expected[i]).epsilon(1e-12));
      const Tensor to = sum_to(in, shape);
      CHECK(to.to_vector() == got);
    }
  }
}
