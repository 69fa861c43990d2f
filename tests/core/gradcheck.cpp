// gradcheck finds the wrong gradients that people write, also those that sum(y) would hide.
#include "core/gradcheck.h"

#include <doctest/doctest.h>

#include "core/autograd.h"
#include "core/ops.h"

using namespace galvan;

namespace {

// An op whose forward is `f` and whose backward is `backward(dy)`.
GradcheckFunction op(std::function<Tensor(const Tensor&)> f, std::function<Tensor(const Tensor&)> backward) {
  return [=](std::span<const Tensor> in) {
    return std::vector{record("broken", f(in[0].detach()).clone(), {in[0]},
                              [=](const Tensor& dy, Needs) -> Grads { return {backward(dy)}; })};
  };
}

Tensor input(const Shape& shape, uint64_t seed = 1) {
  return Tensor::uniform(shape, {.low = -1.0, .seed = seed, .tensor = {.dtype = DType::f64}});
}

Tensor softmax_of(const Tensor& x) {
  const Tensor e = exp(x);
  return div(e, sum(e, {.dims = {-1}, .keepdim = true}));
}

}  // namespace

TEST_CASE("gradcheck passes what is right") {
  const auto f = [](std::span<const Tensor> in) {
    return std::vector{mul(softmax_of(in[0]), in[1]), sum(in[1])};
  };
  CHECK_NOTHROW(gradcheck(f, {input({3, 5}), input({5}, 2)}));
}

TEST_CASE("gradcheck passes views of an input, and the input itself") {
  const auto views = [](std::span<const Tensor> in) { return std::vector{in[0].slice(1, 1, 4), in[0]}; };
  CHECK_NOTHROW(gradcheck(views, {input({3, 5})}));
}

TEST_CASE("gradcheck sees a softmax whose backward returns zeros; sum(y) does not") {
  const auto zeros = op(softmax_of, [](const Tensor& dy) { return mul(dy, 0.0); });
  CHECK(find_wrong_gradient(zeros, {input({3, 5})}));
  // The loss sum(y) is 3 whatever x is: its true gradient is zero, as this backward claims.
  const auto summed = [&](std::span<const Tensor> in) { return std::vector{sum(zeros(in)[0])}; };
  CHECK_FALSE(find_wrong_gradient(summed, {input({3, 5})}));
}

TEST_CASE("gradcheck sees a factor, a sign, a missing transposition, a NaN and one wrong element") {
  const auto twice = op([](const Tensor& x) { return mul(x, 2.0); }, [](const Tensor& dy) { return dy; });
  const auto wrong = find_wrong_gradient(twice, {input({7})});
  REQUIRE(wrong);
  CHECK(wrong->input == 0);
  CHECK(wrong->numeric == doctest::Approx(2.0 * wrong->analytic));

  const auto sign = op([](const Tensor& x) { return neg(x); }, [](const Tensor& dy) { return dy; });
  CHECK(find_wrong_gradient(sign, {input({7})}));

  const auto transposed = [](const Tensor& x) { return x.transpose(0, 1); };
  CHECK(find_wrong_gradient(op(transposed, [](const Tensor& dy) { return dy; }), {input({3, 3})}));
  CHECK_FALSE(find_wrong_gradient(op(transposed, transposed), {input({3, 3})}));

  const auto nan = op([](const Tensor& x) { return mul(x, 1.0); },
                      [](const Tensor& dy) { return div(mul(dy, 0.0), mul(dy, 0.0)); });
  CHECK(find_wrong_gradient(nan, {input({2})}));

  const auto last = op([](const Tensor& x) { return mul(x, 1.0); },
                       [](const Tensor& dy) {
                         const Tensor dx = dy.clone();
                         dx.slice(0, 32, 33).fill_(0.0);
                         return dx;
                       });
  const auto at = find_wrong_gradient(last, {input({33})});
  REQUIRE(at);
  CHECK(at->element == 32);
  CHECK(at->analytic == 0.0);
}

TEST_CASE("gradcheck's errors name what is wrong") {
  const auto f = [](std::span<const Tensor> in) {
    return std::vector{add(in[0], record("broken", mul(in[1].detach(), 2.0), {in[1]},
                                         [](const Tensor& dy, Needs) -> Grads { return {sub(dy, dy)}; }))};
  };
  CHECK_THROWS_WITH_AS(gradcheck(f, {input({2}), input({1}, 3)}),
                       doctest::Contains("gradcheck: input 1, element 0: analytic 0, numeric "), Error);
  CHECK_THROWS_WITH_AS(gradcheck(f, {input({2}), Tensor::ones({1})}), "gradcheck: input 1 is f32, not f64",
                       Error);
  CHECK_THROWS_WITH_AS(gradcheck(f, {Tensor::arange(2)}), "gradcheck: no input is f64", Error);
  const auto constant = [](std::span<const Tensor> in) { return std::vector{in[0].detach()}; };
  CHECK_THROWS_WITH_AS(gradcheck(constant, {input({2})}),
                       "gradcheck: no output depends on an input that requires a gradient", Error);
}
