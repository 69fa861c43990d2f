// softmax and log_softmax.
#include "core/parallel.h"
#include "golden.h"
#include "leaves.h"

using namespace galvan;

TEST_CASE("softmax and log_softmax equal PyTorch's, forward and backward") {
  for (const bool log : {false, true}) {
    for (const GoldenCase& c : golden_cases(log ? "log_softmax" : "softmax")) {
      for (const DType dtype : {DType::f64, DType::f32, DType::bf16}) {
        if (dtype == DType::bf16 && c.name.ends_with("extreme")) continue;  // 9999 is no bf16
        CAPTURE(c.name);
        CAPTURE(name(dtype));
        const Tensor x = leaf(c.inputs[0].values, shape_of(c.inputs[0].shape), dtype);
        const int dim = c.attributes["dim"];
        const Tensor y = log ? log_softmax(x, dim) : softmax(x, dim);
        check_close(y, c.outputs[0].values, tolerance_of(dtype));
        y.backward(Tensor::from(c.outputs[0].upstream, y.shape(), {.dtype = dtype}));
        check_close(x.grad(), c.inputs[0].grad, tolerance_of(dtype));
      }
    }
  }
}

TEST_CASE("rows of every length sum to one, whatever is added to the logits") {
  for (const int64_t columns : {1, 2, 31, 32, 33, 63, 65, 1023, 1024, 1025, 5003}) {
    CAPTURE(columns);
    for (const DType dtype : {DType::f32, DType::f64}) {
      const Tensor x = Tensor::from(golden_input(3 * columns, 5, 8.0), {3, columns}, {.dtype = dtype});
      const Tensor y = softmax(x);
      check_close(sum(y, {.dims = {1}}), {1, 1, 1}, dtype == DType::f32 ? 3e-6 : 1e-13);
      check_close(log_softmax(x), log(y).to_vector(), dtype == DType::f32 ? 2e-6 : 1e-13);
      check_close(softmax(add(x, 64.0)), y.to_vector(), dtype == DType::f32 ? 2e-5 : 1e-13);
    }
  }
  CHECK(softmax(Tensor::empty({0, 5})).shape() == Shape{0, 5});
  CHECK(log_softmax(Tensor::empty({5, 0})).shape() == Shape{5, 0});
}

TEST_CASE("NaN and infinity in a row stay in that row") {
  const double inf = std::numeric_limits<double>::infinity(), nan = std::nan("");
  for (const DType dtype : {DType::f32, DType::f64}) {
    const Tensor x =
        Tensor::from(std::vector<double>{0, nan, 1, 0, 0, inf, 2, 2, -inf}, {3, 3}, {.dtype = dtype});
    check_close(softmax(x), {nan, nan, nan, nan, nan, nan, 0.5, 0.5, 0}, 1e-7);
  }
}

TEST_CASE("softmax gives the same bits on any number of threads") {
  const int before = threads();
  const Tensor x = Tensor::normal({517, 131}, {.seed = 1}).set_requires_grad();
  const Tensor dy = Tensor::normal({517, 131}, {.seed = 3});
  std::vector<std::vector<double>> first;
  for (const int count : {1, 2, 5}) {
    set_threads(count);
    const Tensor y = softmax(x), z = log_softmax(x);
    const std::vector<std::vector<double>> now = {
        y.to_vector(), grad(std::vector{y}, std::vector{x}, std::vector{dy})[0].to_vector(), z.to_vector(),
        grad(std::vector{z}, std::vector{x}, std::vector{dy})[0].to_vector()};
    if (first.empty()) first = now;
    CHECK(now == first);
  }
  set_threads(before);
}

TEST_CASE("softmax says what is wrong with its input") {
  CHECK_THROWS_WITH_AS(softmax(Tensor::ones({})), "softmax: needs at least 1 dimension, got a scalar", Error);
  CHECK_THROWS_WITH_AS(softmax(Tensor::arange(3)), "softmax: takes f32, f64, bf16, not i32", Error);
  CHECK_THROWS_WITH_AS(log_softmax(Tensor()), "log_softmax: got an undefined tensor", Error);
  CHECK_THROWS_AS(softmax(Tensor::ones({2, 3}), 2), Error);
}
