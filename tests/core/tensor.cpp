#include "core/tensor.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <sstream>

#include "core/autograd.h"
#include "core/ops.h"

using namespace galvan;

namespace {

std::string printed(const Tensor& x) {
  std::ostringstream out;
  out << x;
  return out.str();
}

}  // namespace

TEST_CASE("factories fill what they say") {
  for (const DType dtype : {DType::f32, DType::f64, DType::bf16, DType::i32, DType::boolean}) {
    CHECK(Tensor::zeros({3}, {.dtype = dtype}).to_vector() == std::vector<double>{0, 0, 0});
    CHECK(Tensor::ones({1, 2}, {.dtype = dtype}).to_vector() == std::vector<double>{1, 1});
    CHECK(Tensor::empty({0, 5}, {.dtype = dtype}).to_vector().empty());
    CHECK(Tensor::full({}, 1.0, {.dtype = dtype}).item() == 1.0);
  }
  CHECK(Tensor::full({2}, -2.5).to_vector() == std::vector<double>{-2.5, -2.5});
  CHECK(Tensor::arange(4).to_vector() == std::vector<double>{0, 1, 2, 3});
  CHECK(Tensor::arange(3, {.dtype = DType::f32}).dtype() == DType::f32);
  CHECK(Tensor::empty_like(Tensor::zeros({2, 3}, {.dtype = DType::bf16}).transpose(0, 1)).is_contiguous());
  const Tensor x = Tensor::from(std::vector<float>{1, 2, 3, 4, 5, 6}, {2, 3});
  CHECK(x.strides() == Shape{3, 1});
  CHECK(x.size(-1) == 3);
  CHECK(x.numel() == 6);
  CHECK(x.rank() == 2);
  CHECK(x.dtype() == DType::f32);
  CHECK(x.device() == kCpu);
  CHECK_FALSE(Tensor().defined());
}

TEST_CASE("conversions round to nearest, and bool means not zero") {
  const Tensor x =
      Tensor::from(std::vector<double>{1.0 + 0x1p-9, 1.0 + 0x1p-8, 1.0 + 3 * 0x1p-8, -0.25, 0.0}, {5});
  CHECK(x.to(DType::bf16).to_vector() == std::vector<double>{1.0, 1.0, 1.015625, -0.25, 0.0});
  CHECK(x.to(DType::boolean).to_vector() == std::vector<double>{1, 1, 1, 1, 0});
  CHECK(x.to(DType::i32).to_vector() == std::vector<double>{1, 1, 1, 0, 0});
  const double inf = std::numeric_limits<double>::infinity();
  const std::vector<double> extreme =
      Tensor::from(std::vector<double>{inf, -inf, std::nan(""), 3.4e38}, {4}).to(DType::bf16).to_vector();
  CHECK(extreme[0] == inf);
  CHECK(extreme[1] == -inf);
  CHECK(std::isnan(extreme[2]));
  CHECK(extreme[3] == inf);  // nearer to 2^128 than to the largest bfloat16
  CHECK(x.to(DType::f64).impl() == x.impl());
}

TEST_CASE("handles share, clones do not; copy_ broadcasts and converts") {
  const Tensor x = Tensor::zeros({2, 3});
  const Tensor handle = x, clone = x.clone();
  handle.select(0, 1).fill_(7.0);
  CHECK(x.to_vector() == std::vector<double>{0, 0, 0, 7, 7, 7});
  CHECK(clone.to_vector() == std::vector<double>(6, 0.0));
  x.copy_(Tensor::arange(3));
  CHECK(x.to_vector() == std::vector<double>{0, 1, 2, 0, 1, 2});
  x.transpose(0, 1).copy_(Tensor::arange(2));
  CHECK(x.to_vector() == std::vector<double>{0, 0, 0, 1, 1, 1});
  x.zero_();
  CHECK(x.to_vector() == std::vector<double>(6, 0.0));
}

TEST_CASE("tensors print") {
  CHECK(printed(Tensor()) == "undefined");
  CHECK(printed(Tensor::full({}, 0.5)) == "0.5");
  CHECK(printed(Tensor::full({2}, -std::numeric_limits<double>::quiet_NaN())) == "[nan, nan]");
  CHECK(printed(Tensor::arange(3)) == "[0, 1, 2]");
  CHECK(printed(Tensor::zeros({0})) == "[]");
  CHECK(printed(Tensor::ones({2}, {.dtype = DType::boolean})) == "[true, true]");
  CHECK(printed(Tensor::arange(4).reshape({2, 2})) == "[[0, 1],\n [2, 3]]");
  CHECK(printed(Tensor::arange(100)) == "[0, 1, 2, ..., 97, 98, 99]");
  CHECK(printed(Tensor::full({}, 1.0 / 3.0)) == "0.333333");
}

TEST_CASE("tensors say what is wrong") {
  const Tensor x = Tensor::zeros({2, 3});
  CHECK_THROWS_WITH_AS(x.item(), "item: shape [2, 3] has 6 elements, not 1", Error);
  CHECK_THROWS_WITH_AS(x.data<double>(), "data: the tensor is f32, not f64", Error);
  CHECK_THROWS_WITH_AS(x.size(2), "size: dimension 2 is out of range for 2 dimensions", Error);
  CHECK_THROWS_WITH_AS(Tensor::from(std::vector<float>{1}, {2}), "from: 1 values given for shape [2]", Error);
  CHECK_THROWS_WITH_AS(Tensor::zeros({-1}), "empty: negative size in [-1]", Error);
  CHECK_THROWS_WITH_AS(Tensor::arange(-1), "arange: negative end -1", Error);
  CHECK_THROWS_WITH_AS(x.copy_(Tensor::zeros({4})), "copy_: shapes [2, 3] and [4] do not broadcast", Error);
  CHECK_THROWS_WITH_AS(x.copy_(Tensor::zeros({5, 2, 3})),
                       "copy_: shape [5, 2, 3] does not broadcast to [2, 3]", Error);
  CHECK_THROWS_WITH_AS(Tensor().shape(), "shape: got an undefined tensor", Error);
  CHECK_THROWS_WITH_AS(Tensor::zeros({2}, {.dtype = DType::i32}).set_requires_grad(),
                       "set_requires_grad: a tensor of i32 has no gradient", Error);
  CHECK_THROWS_WITH_AS(Shape({1, 1, 1, 1, 1, 1, 1, 1, 1}), "shape: more than 8 dimensions", Error);
  CHECK_THROWS_WITH_AS(add(x, Tensor::zeros({2, 3}, {.dtype = DType::f64})),
                       "add: dtypes differ, f32 and f64", Error);
  CHECK_THROWS_WITH_AS(add(x, Tensor()), "add: got an undefined tensor", Error);
  CHECK_THROWS_WITH_AS(add(x, Tensor::zeros({4})), "add: shapes [2, 3] and [4] do not broadcast", Error);
}
