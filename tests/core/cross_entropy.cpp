// cross_entropy.
#include "core/allocator.h"
#include "core/parallel.h"
#include "golden.h"
#include "leaves.h"

using namespace galvan;

namespace {

Tensor classes(const std::vector<double>& values, const Shape& shape) {
  return Tensor::from(values, shape, {.dtype = DType::i32});
}

CrossEntropyOptions options_of(const nlohmann::json& attributes) {
  const std::string reduction = attributes["reduction"];
  return {.ignore_index = attributes["ignore_index"],
          .label_smoothing = attributes["label_smoothing"],
          .reduction = reduction == "mean"  ? Reduction::mean
                       : reduction == "sum" ? Reduction::sum
                                            : Reduction::none};
}

}  // namespace

TEST_CASE("cross_entropy equals PyTorch's, forward and backward") {
  for (const GoldenCase& c : golden_cases("cross_entropy")) {
    for (const DType dtype : {DType::f64, DType::f32, DType::bf16}) {
      if (dtype == DType::bf16 && c.name.ends_with("extreme")) continue;  // 9999 is no bf16
      CAPTURE(c.name);
      CAPTURE(name(dtype));
      const Tensor logits = leaf(c.inputs[0].values, shape_of(c.inputs[0].shape), dtype);
      const Tensor targets = classes(c.inputs[1].values, shape_of(c.inputs[1].shape));
      const Tensor loss = cross_entropy(logits, targets, options_of(c.attributes));
      CHECK(loss.dtype() == (dtype == DType::f64 ? DType::f64 : DType::f32));
      CHECK(loss.shape() == shape_of(c.outputs[0].shape));
      check_close(loss, c.outputs[0].values, tolerance_of(dtype));
      loss.backward(Tensor::from(c.outputs[0].upstream, loss.shape(), {.dtype = loss.dtype()}));
      check_close(logits.grad(), c.inputs[0].grad, tolerance_of(dtype));
    }
  }
}

TEST_CASE("cross_entropy equals log_softmax and gather, for every number of classes") {
  for (const int64_t V : {1, 2, 31, 32, 33, 65, 1023, 1025, 4099}) {
    CAPTURE(V);
    const int64_t R = 5;
    const std::vector<double> values = golden_input(R * V, 3, 6.0);
    std::vector<double> targets(R), picked(R * V, 0.0);
    for (int64_t r = 0; r < R; ++r) {
      targets[r] = golden_integers(R, 9, V)[r];
      picked[r * V + targets[r]] = -1;
    }
    for (const DType dtype : {DType::f64, DType::f32}) {
      const Tensor x = leaf(values, {R, V}, dtype), x2 = leaf(values, {R, V}, dtype);
      const Tensor loss = cross_entropy(x, classes(targets, {R}), {.reduction = Reduction::sum});
      const Tensor twin = sum(mul(log_softmax(x2), Tensor::from(picked, {R, V}, {.dtype = dtype})));
      const double tolerance = dtype == DType::f64 ? 1e-13 : 4e-6;
      check_close(loss, twin.to_vector(), tolerance);
      loss.backward();
      twin.backward();
      check_close(x.grad(), x2.grad().to_vector(), tolerance);
    }
  }
}

TEST_CASE("the gradient of huge logits is as exact as that of small ones") {
  // In f32, 1e4 + ln 3 keeps three digits of the logarithm; the probabilities must not.
  const Tensor x = leaf({1e4, 1e4, 1e4, -1e4}, {1, 4}, DType::f32);
  const Tensor loss = cross_entropy(x, classes({1}, {1}));
  check_close(loss, {std::log(3.0)}, 1e-7);
  loss.backward();
  check_close(x.grad(), {1 / 3.0, -2 / 3.0, 1 / 3.0, 0}, 1e-7);
}

TEST_CASE("rows that are ignored count for nothing") {
  const Tensor x = leaf(golden_input(6, 1), {2, 3});
  const Tensor loss = cross_entropy(x, classes({-100, -100}, {2}));
  CHECK(std::isnan(loss.item()));
  loss.backward();
  CHECK(x.grad().to_vector() == std::vector<double>(6, 0.0));
  CHECK(cross_entropy(x, classes({-100, -100}, {2}), {.reduction = Reduction::sum}).item() == 0);

  // What stands in an ignored row does not matter.
  const double nan = std::nan("");
  const Tensor y = leaf({nan, nan, nan, 1, 2, 3}, {2, 3});
  const Tensor kept = cross_entropy(y, classes({-100, 2}, {2}));
  check_close(
      kept, cross_entropy(Tensor::from(std::vector<double>{1, 2, 3}, {1, 3}), classes({2}, {1})).to_vector(),
      0);
  kept.backward();
  for (int i = 0; i < 3; ++i) CHECK(y.grad().to_vector()[i] == 0);

  CHECK(std::isnan(cross_entropy(Tensor::empty({0, 3}), classes({}, {0})).item()));
}

TEST_CASE("cross_entropy takes any leading dimensions, views and one row without") {
  const std::vector<double> values = golden_input(24, 2);
  const std::vector<double> targets = {0, 3, 1, 2, 2, 0};
  const Tensor flat = Tensor::from(values, {6, 4});
  const double expected = cross_entropy(flat, classes(targets, {6})).item();
  CHECK(cross_entropy(flat.reshape({2, 3, 4}), classes(targets, {2, 3})).item() == expected);
  CHECK(cross_entropy(flat.transpose(0, 1).contiguous().transpose(0, 1), classes(targets, {6})).item() ==
        expected);
  CHECK(cross_entropy(flat.select(0, 1), classes({3}, {})).item() ==
        cross_entropy(flat.slice(0, 1, 2), classes({3}, {1})).item());
}

TEST_CASE(
    "cross_entropy stores no probabilities: of each row a number, or the gradient in the logits' place") {
  const int64_t R = 64, V = 1024;
  const Tensor x = Tensor::normal({R, V}, {.seed = 1}).set_requires_grad();
  const Tensor targets = Tensor::full({R}, 7, {.dtype = DType::i32});
  const int64_t before = memory_stats().bytes_in_use;
  {
    const Tensor losses = cross_entropy(x, targets, {.reduction = Reduction::none});
    CHECK(memory_stats().bytes_in_use - before < R * V);
  }
  const Tensor loss = cross_entropy(x * 1.0, targets);      // the product is given away
  CHECK(memory_stats().bytes_in_use - before < R * V * 5);  // in f32: once, not twice
  {
    const NoGrad guard;
    const int64_t now = memory_stats().bytes_in_use;
    cross_entropy(x, targets);
    CHECK(memory_stats().bytes_in_use == now);
  }
}

TEST_CASE("cross_entropy overwrites no logits that somebody holds") {
  const Tensor x = Tensor::normal({5, 33}, {.seed = 1}).set_requires_grad();
  const Tensor targets = Tensor::from(golden_integers(5, 2, 33), {5});
  const auto gradient = [&](const Tensor& loss) {
    x.set_grad({});
    loss.backward();
    return x.grad().to_vector();
  };
  const std::vector<double> expected = gradient(cross_entropy(x, targets));
  CHECK(gradient(cross_entropy(x * 1.0, targets)) == expected);

  Tensor logits = x * 1.0;
  const Tensor handle = logits, view = (x * 1.0).slice(0, 0, 5);
  CHECK(gradient(cross_entropy(std::move(logits), targets)) == expected);
  CHECK(handle.to_vector() == x.to_vector());
  Tensor whole = x * 1.0;
  const Tensor part = whole.slice(0, 1, 3);
  CHECK(gradient(cross_entropy(std::move(whole), targets)) == expected);
  CHECK(part.to_vector() == x.slice(0, 1, 3).to_vector());
  // tanh has kept its output for its backward.
  CHECK_NOTHROW(gradient(cross_entropy(tanh(x), targets)));
  Tensor leaf = Tensor::normal({5, 33}, {.seed = 1}).set_requires_grad();
  CHECK_NOTHROW(cross_entropy(std::move(leaf), targets).backward());
  CHECK(view.defined());
}

TEST_CASE("cross_entropy multiplies by an upstream gradient that is not 1, again and again") {
  const Tensor x = Tensor::normal({5, 33}, {.seed = 1, .tensor = {.dtype = DType::f64}}).set_requires_grad();
  const Tensor targets = Tensor::from(golden_integers(5, 2, 33), {5});
  const auto gradient = [&](const Tensor& of, const Tensor& upstream) {
    return grad(std::vector{of}, std::vector{x}, std::vector{upstream}, {.retain_graph = true})[0]
        .to_vector();
  };
  const Tensor loss = cross_entropy(x * 1.0, targets),
               minus_three = Tensor::full({}, -3.0, {.dtype = DType::f64});
  std::vector<double> expected = gradient(loss, {});
  for (double& value : expected) value *= -3.0;
  for (int i = 0; i < 2; ++i) {
    CHECK(gradient(loss, minus_three) == expected);
    CHECK(gradient(loss * -3.0, {}) == expected);
  }
}

TEST_CASE("cross_entropy gives the same bits on any number of threads") {
  const int before = threads();
  const Tensor x = Tensor::normal({517, 131}, {.seed = 1}).set_requires_grad();
  const Tensor targets = Tensor::full({517}, 7, {.dtype = DType::i32});
  std::vector<std::vector<double>> first;
  for (const int count : {1, 2, 5}) {
    set_threads(count);
    const Tensor loss = cross_entropy(x, targets, {.label_smoothing = 0.1});
    const std::vector<std::vector<double>> now = {loss.to_vector(),
                                                  grad(std::vector{loss}, std::vector{x})[0].to_vector()};
    if (first.empty()) first = now;
    CHECK(now == first);
  }
  set_threads(before);
}

TEST_CASE("cross_entropy of rows that all count") {
  const Tensor x = Tensor::uniform({3, 4}, {.low = -1, .seed = 1, .tensor = {.dtype = DType::f64}});
  const auto of = [&](const Tensor& targets, CrossEntropyOptions options) {
    const Tensor leaf = x.clone().set_requires_grad();
    const Tensor loss = cross_entropy(leaf, targets, options);
    return std::pair(loss.item(), grad(std::vector{loss}, std::vector{leaf})[0].to_vector());
  };
  const auto some = of(classes({0, 2, 3}, {3}), {}),
             all = of(classes({0, 2, 3}, {3}), {.ignore_index = CrossEntropyOptions::kNone});
  CHECK(all.first == doctest::Approx(some.first).epsilon(1e-15));
  for (size_t i = 0; i < all.second.size(); ++i)
    CHECK(all.second[i] == doctest::Approx(some.second[i]).epsilon(1e-14));
  CHECK_THROWS_WITH_AS(of(classes({0, -100, 3}, {3}), {.ignore_index = CrossEntropyOptions::kNone}),
                       "cross_entropy: target -100 of row 1 is not a class, V is 4", Error);
}

TEST_CASE("cross_entropy says what is wrong with its input") {
  const Tensor x = Tensor::ones({2, 3});
  CHECK_THROWS_WITH_AS(cross_entropy(x, classes({0, 3}, {2})),
                       "cross_entropy: target 3 of row 1 is not a class, V is 3", Error);
  CHECK_THROWS_WITH_AS(cross_entropy(x, classes({-1, 0}, {2})),
                       "cross_entropy: target -1 of row 0 is not a class, V is 3", Error);
  CHECK_THROWS_WITH_AS(cross_entropy(x, classes({0}, {1})),
                       "cross_entropy: targets [1] do not fit logits [2, 3]", Error);
  CHECK_THROWS_WITH_AS(cross_entropy(x, Tensor::ones({2})), "cross_entropy: targets are f32, not i32", Error);
  CHECK_THROWS_WITH_AS(cross_entropy(x, classes({0, 0}, {2}), {.label_smoothing = 1.5}),
                       "cross_entropy: label_smoothing 1.5 is not in 0..1", Error);
  CHECK_THROWS_WITH_AS(cross_entropy(Tensor::ones({2, 3}, {.dtype = DType::i32}), classes({0, 0}, {2})),
                       "cross_entropy: takes f32, f64, bf16, not i32", Error);
}
