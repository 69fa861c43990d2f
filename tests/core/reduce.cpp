// Reductions against a plain loop, and their order of summation.
#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "core/autograd.h"
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

TEST_CASE("a sum's bits do not depend on where the data lies") {
  for (const DType dtype : {DType::f32, DType::bf16})
    for (const int64_t n : {1, 31, 32, 33, 1023, 1025, 40001}) {
      const Tensor values = Tensor::normal({n}, {.seed = 3, .tensor = {.dtype = dtype}});
      const double expected = sum(values).item();
      for (const int64_t offset : {1, 3, 7, 15}) {
        const Tensor place = Tensor::zeros({n + offset}, {.dtype = dtype}).slice(0, offset, n + offset);
        place.copy_(values);
        CHECK(sum(place).item() == expected);
      }
    }
}

TEST_CASE("long sums stay accurate") {
  const int64_t n = 3000001;
  const double tenth = 0.1f;
  CHECK(sum(Tensor::full({n}, 0.1)).item() == doctest::Approx(n * tenth).epsilon(1e-5));
  CHECK(sum(Tensor::full({n / 3, 3}, 0.1), {.dims = {0}}).to_vector()[1] ==
        doctest::Approx(n / 3 * tenth).epsilon(1e-5));
  // bfloat16 is accumulated in f32: 256 + 1 is no bfloat16, and a sum in it would stay at 256.
  CHECK(sum(Tensor::ones({100000}, {.dtype = DType::bf16})).item() == doctest::Approx(100000).epsilon(0.004));
  CHECK(mean(Tensor::full({1, 100000}, 0.5, {.dtype = DType::bf16})).item() == 0.5);
}

TEST_CASE("columns of every width and height are summed") {
  for (const int64_t rows : {1, 2, 3, 4, 5, 127, 128, 129, 255, 256, 257, 385, 1025})
    for (const int64_t columns : {2, 33, 1023, 1025}) {
      const Tensor x = Tensor::full({rows, columns}, 1.0);
      x.select(0, rows - 1).fill_(3.0);
      x.select(1, columns - 1).fill_(2.0);
      const std::vector<double> y = sum(x, {.dims = {0}}).to_vector();
      CHECK(y[0] == static_cast<double>(rows + 2));
      CHECK(y[columns - 2] == y[0]);
      CHECK(y[columns - 1] == static_cast<double>(2 * rows));
      const std::vector<double> largest = max(x, {.dims = {0}}).to_vector();
      CHECK(largest[0] == 3.0);
      CHECK(largest[columns - 1] == 2.0);
    }
}

TEST_CASE("sums of nothing are zero, means NaN, and there is no largest") {
  const Tensor x = Tensor::zeros({3, 0});
  CHECK(sum(x).item() == 0.0);
  CHECK(sum(x, {.dims = {1}}).to_vector() == std::vector<double>{0, 0, 0});
  CHECK(sum(x, {.dims = {0}}).shape() == Shape{0});
  CHECK(std::isnan(mean(x).item()));
  CHECK_THROWS_WITH_AS(max(x), "max: nothing to choose from in shape [3, 0]", Error);
  CHECK_THROWS_WITH_AS(argmax(x, 1), "argmax: nothing to choose from in shape [3, 0]", Error);
  CHECK(max(x, {.dims = {0}}).numel() == 0);
  CHECK(argmax(x, 0).numel() == 0);
}

TEST_CASE("a scalar reduces to itself") {
  const Tensor x = Tensor::full({}, 2.5);
  CHECK(sum(x).item() == 2.5);
  CHECK(max(x).item() == 2.5);
  CHECK(argmax(x).item() == 0.0);
  CHECK(var(x, {}, 0).item() == 0.0);
  CHECK(std::isnan(var(x).item()));
}

TEST_CASE("NaN is the largest") {
  const double nan = std::nan("");
  for (int64_t at : {0, 1, 63, 64, 99}) {
    const Tensor x = Tensor::arange(100, {.dtype = DType::f32});
    x.slice(0, at, at + 1).fill_(nan);
    CHECK(std::isnan(max(x).item()));
    CHECK(argmax(x).item() == static_cast<double>(at));
    CHECK(std::isnan(max(x.reshape({100, 1}).expand({100, 2}), {.dims = {0}}).to_vector()[1]));
  }
  const double inf = std::numeric_limits<double>::infinity();
  CHECK(max(Tensor::full({70}, -inf)).item() == -inf);
  CHECK(max(Tensor::full({70}, -5, {.dtype = DType::i32})).item() == -5);
}

TEST_CASE("ties share the gradient of max equally") {
  for (const bool first : {true, false}) {
    Tensor x = Tensor::from(std::vector<double>{1, 3, 3, 0, 3, 2}, first ? Shape{1, 6} : Shape{6, 1});
    x.set_requires_grad();
    max(x, {.dims = {first ? 1 : 0}}).backward(Tensor::full({1}, 6.0, {.dtype = DType::f64}));
    CHECK(x.grad().to_vector() == std::vector<double>{0, 2, 2, 0, 2, 0});
    const Tensor flat = x.detach().set_requires_grad();
    max(flat).backward();
    CHECK(flat.grad().to_vector()[1] == 1.0 / 3.0);
  }
}

TEST_CASE("reductions say what is wrong") {
  const Tensor x = Tensor::zeros({2, 3});
  CHECK_THROWS_WITH_AS(sum(x, {.dims = {2}}), "sum: dimension 2 is out of range for 2 dimensions", Error);
  CHECK_THROWS_WITH_AS(mean(x, {.dims = {0, -2}}), "mean: dimension 0 is named twice", Error);
  CHECK_THROWS_WITH_AS(sum_to(x, {2}), "sum_to: shapes [2] and [2, 3] do not broadcast", Error);
  CHECK_THROWS_WITH_AS(sum_to(Tensor::zeros({1}), {2}), "sum_to: shape [2] does not broadcast to [1]", Error);
  CHECK_THROWS_WITH_AS(sum(Tensor()), "sum: got an undefined tensor", Error);
}
