// Pointwise ops beyond what the op table drives: layouts, special values, the accuracy of our own functions.
#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "core/autograd.h"
#include "core/math.h"
#include "core/ops.h"
#include "tests/core/worst.h"

using namespace galvan;

TEST_CASE("binary ops broadcast") {
  const Tensor a = Tensor::from(std::vector<float>{1, 2, 3, 4, 5, 6}, {2, 3});
  const Tensor row = Tensor::from(std::vector<float>{10, 20, 30}, {3});
  const Tensor column = Tensor::from(std::vector<float>{100, 200}, {2, 1});
  CHECK(add(a, row).to_vector() == std::vector<double>{11, 22, 33, 14, 25, 36});
  CHECK(sub(a, column).to_vector() == std::vector<double>{-99, -98, -97, -196, -195, -194});
  CHECK(mul(row, column).to_vector() == std::vector<double>{1000, 2000, 3000, 2000, 4000, 6000});
  CHECK(add(a.transpose(0, 1), column.reshape({2})).to_vector() ==
        std::vector<double>{101, 204, 102, 205, 103, 206});
}

TEST_CASE("every combination of strides gives what dense copies give") {
  for (const int64_t n : {1, 31, 32, 33, 1025}) {
    const Tensor base = Tensor::uniform({5, 2 * n}, {.low = -1, .seed = 1});
    const std::vector<Tensor> views = {
        base.slice(1, 0, n),
        base.slice(1, 0, 2 * n, 2),
        base.slice(1, n, n + 1),
        base.slice(0, 2, 3).slice(1, 0, n),
        base.slice(0, 0, 1).slice(1, 0, 1),
        Tensor::uniform({n, 5}, {.seed = 2}).transpose(0, 1),
        Tensor::full({}, 0.5),
    };
    const Tensor mask = lt(views[0], views[1]);
    for (const Tensor& a : views)
      for (const Tensor& b : views) {
        const Shape shape = broadcast("test", a.shape(), b.shape());
        const Tensor x = a.expand(shape).clone(), y = b.expand(shape).clone();
        CHECK(sub(a, b).to_vector() == sub(x, y).to_vector());
        CHECK(lt(a, b).to_vector() == lt(x, y).to_vector());
        CHECK(where(mask, a, b).to_vector() ==
              where(mask, a.expand(mask.shape()).clone(), b.expand(mask.shape()).clone()).to_vector());
      }
    for (const Tensor& a : views) CHECK(relu(a).to_vector() == relu(a.clone()).to_vector());
  }
}

TEST_CASE("exp, tanh and erf in f32 are off by a few units in the last place") {
  const auto worst = [](auto f, auto exact, float low, float high) {
    double error = 0.0;
    for (int i = 0; i <= 200000; ++i) {
      const float x = low + (high - low) * static_cast<float>(i) / 200000.0f;
      const double want = exact(static_cast<double>(x));
      const double unit = std::fmax(std::fabs(want) * 0x1p-23, 0x1p-149);
      error = worse(error, std::fabs(f(x) - want) / unit);
    }
    return error;
  };
  const auto exp32 = [](float x) { return static_cast<double>(math::exp(x)); };
  const auto tanh32 = [](float x) { return static_cast<double>(math::tanh(x)); };
  const auto erf32 = [](float x) { return static_cast<double>(math::erf(x)); };
  CHECK(worst(
            exp32, [](double x) { return std::exp(x); }, -103.0f, 88.7f) < 1.1);
  CHECK(worst(
            tanh32, [](double x) { return std::tanh(x); }, -10.0f, 10.0f) < 2.0);
  CHECK(worst(
            tanh32, [](double x) { return std::tanh(x); }, -1e-3f, 1e-3f) < 1.1);
  CHECK(worst(
            erf32, [](double x) { return std::erf(x); }, -5.0f, 5.0f) < 2.0);
  CHECK(worst(
            erf32, [](double x) { return std::erf(x); }, -1e-3f, 1e-3f) < 1.1);
}

TEST_CASE("infinities and NaN come out of every function as mathematics has it") {
  const float inf = std::numeric_limits<float>::infinity(), nan = std::nanf("");
  CHECK(math::exp(inf) == inf);
  CHECK(math::exp(-inf) == 0.0f);
  CHECK(math::exp(89.0f) == inf);
  CHECK(math::tanh(inf) == 1.0f);
  CHECK(math::tanh(-inf) == -1.0f);
  CHECK(math::erf(-inf) == -1.0f);
  for (float x : {math::exp(nan), math::tanh(nan), math::erf(nan), math::sigmoid(nan)}) CHECK(std::isnan(x));
  for (const DType dtype : {DType::f32, DType::f64, DType::bf16}) {
    const Tensor x = Tensor::from(std::vector<float>{inf, nan, 1e4f, -1e4f}, {4}, {.dtype = dtype});
    for (const Tensor& y : {relu(x), silu(x), gelu(x), gelu(x, Gelu::exact)}) {
      CHECK(y.to_vector()[0] == inf);
      CHECK(std::isnan(y.to_vector()[1]));
      CHECK(y.to_vector()[2] == x.to_vector()[2]);
      CHECK(y.to_vector()[3] == 0.0);
    }
    CHECK(std::isnan(clamp(x, -1, 1).to_vector()[1]));
    for (const Tensor& y :
         {maximum(x, Tensor::zeros({}, {.dtype = dtype})), minimum(Tensor::zeros({}, {.dtype = dtype}), x)})
      CHECK(std::isnan(y.to_vector()[1]));
    CHECK(eq(x, x).to_vector() == std::vector<double>{1, 0, 1, 1});
    CHECK(ne(x, x).to_vector() == std::vector<double>{0, 1, 0, 0});
    CHECK(ge(x, x).to_vector() == std::vector<double>{1, 0, 1, 1});
  }
}

TEST_CASE("i32 wraps around, and clamp keeps to whole numbers") {
  const Tensor most = Tensor::full({1}, 2147483647, {.dtype = DType::i32});
  CHECK(add(most, 1.0).item() == -2147483648.0);
  CHECK(mul(most, most).item() == 1.0);
  CHECK(abs(add(most, 1.0)).item() == -2147483648.0);
  const Tensor x = Tensor::from(std::vector<int32_t>{-9, -2, 0, 2, 9}, {5});
  CHECK(clamp(x, -2.5, 1e300).to_vector() == std::vector<double>{-2, -2, 0, 2, 9});
  CHECK(clamp(x, -std::numeric_limits<double>::infinity(), 1.5).to_vector() ==
        std::vector<double>{-9, -2, 0, 1, 1});
  CHECK(clamp(x.to(DType::f32), 3, -3).to_vector() == std::vector<double>{-3, -3, -3, -3, -3});
}

TEST_CASE("pointwise ops say what is wrong") {
  const Tensor x = Tensor::zeros({2, 3}), whole = Tensor::zeros({2, 3}, {.dtype = DType::i32});
  CHECK_THROWS_WITH_AS(add(whole, 0.5), "add: 0.5 is not a whole number that fits i32", Error);
  CHECK_THROWS_WITH_AS(mul(whole, 3e9), "mul: 3e+09 is not a whole number that fits i32", Error);
  CHECK_THROWS_WITH_AS(masked_fill(whole, gt(x, x), std::nan("")),
                       "masked_fill: nan is not a whole number that fits i32", Error);
  CHECK_THROWS_WITH_AS(masked_fill(gt(x, x), gt(x, x), 2.0),
                       "masked_fill: 2 is neither 0 nor 1, but x is bool", Error);
  CHECK_THROWS_WITH_AS(masked_fill(x, whole, 0.0), "masked_fill: the condition is i32, not bool", Error);
  CHECK_THROWS_WITH_AS(where(x, x, x), "where: the condition is f32, not bool", Error);
  CHECK_THROWS_WITH_AS(where(gt(x, x), x, whole), "where: dtypes differ, f32 and i32", Error);
  CHECK_THROWS_WITH_AS(where(Tensor(), x, x), "where: got an undefined tensor", Error);
  CHECK_THROWS_WITH_AS(tril(Tensor::zeros({3})), "tril: needs at least 2 dimensions, got shape [3]", Error);
  CHECK_THROWS_WITH_AS(clamp(x, std::nan(""), 1.0), "clamp: a bound is NaN", Error);
  CHECK_THROWS_WITH_AS(lt(x, Tensor::zeros({4})), "lt: shapes [2, 3] and [4] do not broadcast", Error);
}
