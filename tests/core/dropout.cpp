// Dropout: its mask is the documented function of the random stream.
#include <doctest/doctest.h>

#include <cmath>

#include "core/autograd.h"
#include "core/ops.h"
#include "core/parallel.h"
#include "core/random.h"
#include "tests/core/each_isa.h"

using namespace galvan;

TEST_CASE_TEMPLATE("dropout keeps element i where the i-th word says so", T, float, double, bfloat16) {
  const double p = 0.3;
  for_each_isa([&] {
    for (const int64_t n : {1, 3, 255, 256, 257, 8193, 20001}) {
      CAPTURE(n);
      RandomContext::current().begin(5, 7, 2);
      RandomContext::current().next();
      const RandomStream stream = RandomContext::current().state();
      Tensor x = Tensor::full({n}, 2.0, {.dtype = dtype_of<T>});
      x.set_requires_grad();
      const Tensor y = dropout(x, p);
      y.backward(Tensor::full({n}, 3.0, {.dtype = dtype_of<T>}));
      const std::vector<double> got = y.to_vector(), dx = x.grad().to_vector();
      const Acc<T> scale = static_cast<Acc<T>>(1 / (1 - p));
      for (int64_t i = 0; i < n; ++i) {
        const bool kept = uniform_from(stream.words(i / 4)[i % 4]) >= p;
        CHECK(got[i] == (kept ? static_cast<double>(static_cast<T>(2 * scale)) : 0.0));
        CHECK(dx[i] == (kept ? static_cast<double>(static_cast<T>(3 * scale)) : 0.0));
      }
    }
  });
}

TEST_CASE("dropout draws a new mask for every call, the same for every number of threads") {
  const int before = threads();
  const Tensor x = Tensor::ones({33, 1025}).transpose(0, 1);
  std::vector<double> first, second;
  for (const int count : {1, 2, 3}) {
    set_threads(count);
    RandomContext::current().begin(1, 2, 3);
    const std::vector<double> a = dropout(x, 0.5).to_vector(), b = dropout(x, 0.5).to_vector();
    if (first.empty()) first = a, second = b;
    CHECK(a == first);
    CHECK(b == second);
  }
  set_threads(before);
  CHECK(first != second);
  double kept = 0;
  for (const double value : first) kept += value != 0;
  CHECK(kept / static_cast<double>(first.size()) == doctest::Approx(0.5).epsilon(0.02));
}

TEST_CASE("dropout reads the step where it is told to, forward and backward") {
  int64_t step = 6;
  for (int k = 0; k < 2; ++k, ++step) {
    Tensor x = Tensor::ones({257}), y = Tensor::ones({257});
    x.set_requires_grad();
    RandomContext::current().begin(5, static_cast<uint32_t>(step), 2);
    const std::vector<double> want = dropout(y, 0.5).to_vector();
    {
      const RandomPass pass(5, 2, &step);
      const Tensor got = dropout(x, 0.5);
      got.backward(Tensor::ones({257}));
      CHECK(got.to_vector() == want);
      CHECK(x.grad().to_vector() == want);
    }
    CHECK(RandomContext::current().state().step_from == nullptr);  // the place may go now
  }
}

TEST_CASE("dropout at the edges") {
  const Tensor x = Tensor::full({257}, 3.0);
  CHECK(dropout(x, 0.0).to_vector() == x.to_vector());
  const Tensor bad = Tensor::full({257}, INFINITY);
  for (const double value : dropout(bad, 0.5).to_vector()) CHECK((value == 0.0 || value == INFINITY));
  CHECK(dropout(Tensor::zeros({0}), 0.5).numel() == 0);
  CHECK_THROWS_WITH_AS(dropout(x, 1.0), "dropout: p 1 is not in [0, 1)", Error);
  CHECK_THROWS_WITH_AS(dropout(x, -0.1), "dropout: p -0.1 is not in [0, 1)", Error);
  CHECK_THROWS_WITH_AS(dropout(x, NAN), "dropout: p nan is not in [0, 1)", Error);
  CHECK_THROWS_WITH_AS(dropout(Tensor::arange(3), 0.5), "dropout: takes f32, f64, bf16, not i32", Error);
}
