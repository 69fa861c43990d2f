// matmul and linear: against plain loops, and what they refuse.
#include <doctest/doctest.h>

#include "core/autograd.h"
#include "core/parallel.h"
#include "tests/core/close.h"

using namespace galvan;

namespace {

Tensor random(const Shape& shape, uint64_t seed, DType dtype = DType::f64) {
  return Tensor::uniform(shape, {.low = -1, .seed = seed, .tensor = {.dtype = dtype}});
}

// a [M, K] @ b [K, N], of any strides.
Tensor plain_product(const Tensor& a, const Tensor& b) {
  const auto left = a.to_vector(), right = b.to_vector();
  const int64_t M = a.size(0), K = a.size(1), N = b.size(1);
  std::vector<double> out(M * N, 0.0);
  for (int64_t m = 0; m < M; ++m)
    for (int64_t k = 0; k < K; ++k)
      for (int64_t n = 0; n < N; ++n) out[m * N + n] += left[m * K + k] * right[k * N + n];
  return Tensor::from(out, {M, N});
}

}  // namespace

TEST_CASE("matmul reads views as they lie") {
  const Tensor a = random({33, 31}, 1), b = random({31, 17}, 2);
  const Tensor expected = plain_product(a, b);
  const Tensor a_t = a.transpose(0, 1).contiguous(), b_t = b.transpose(0, 1).contiguous();
  CHECK(matmul(a_t.transpose(0, 1), b).to_vector() == matmul(a_t, b, {.transpose_a = true}).to_vector());
  CHECK(matmul(a, b_t.transpose(0, 1)).to_vector() == matmul(a, b_t, {.transpose_b = true}).to_vector());
  check_close(matmul(a, b), expected, 1e-13);
  check_close(matmul(a_t.transpose(0, 1), b_t.transpose(0, 1)), expected, 1e-13);
  check_close(matmul(a_t.transpose(0, 1), b_t, {.transpose_b = true}), expected, 1e-13);

  // Columns of a wider matrix, every second row, a broadcast row, a batch of heads inside [B, T, H D].
  const Tensor wide = random({33, 70}, 3);
  const Tensor part = wide.slice(1, 5, 36);
  check_close(matmul(part, b), plain_product(part, b), 1e-13);
  check_close(matmul(part.slice(0, 0, 33, 2), b), plain_product(part.slice(0, 0, 33, 2), b), 1e-13);
  check_close(matmul(wide.slice(1, 0, 62, 2), b), plain_product(wide.slice(1, 0, 62, 2), b), 1e-13);
  const Tensor row = random({1, 31}, 4).expand({9, 31});
  check_close(matmul(row, b), plain_product(row, b), 1e-13);
  const Tensor heads = random({2, 5, 3 * 7}, 5).reshape({2, 5, 3, 7}).transpose(1, 2);
  const Tensor scores = matmul(heads, heads, {.transpose_b = true});
  CHECK(scores.shape() == Shape{2, 3, 5, 5});
  for (int64_t i = 0; i < 2; ++i)
    for (int64_t h = 0; h < 3; ++h) {
      const Tensor one = heads.select(0, i).select(0, h);
      check_close(scores.select(0, i).select(0, h), plain_product(one, one.transpose(0, 1)), 1e-13);
    }
}

TEST_CASE("matmul's and linear's gradients flow into views and broadcast operands") {
  const Tensor x = random({2, 3, 5}, 1).set_requires_grad(), w = random({5, 4}, 2).set_requires_grad();
  const Tensor dy = random({2, 3, 4}, 3);
  for (const bool transposed : {false, true}) {
    CAPTURE(transposed);
    const Tensor stored =
        (transposed ? w.detach().transpose(0, 1).contiguous() : w.detach()).set_requires_grad();
    const Tensor y = matmul(x, transposed ? stored.transpose(0, 1) : stored);
    const Grads g = grad(std::vector{y}, std::vector{x, stored}, std::vector{dy});
    const Tensor dw = transposed ? g[1].transpose(0, 1) : g[1];
    const Tensor flat_x = x.detach().reshape({6, 5}), flat_dy = dy.reshape({6, 4});
    check_close(g[0].reshape({6, 5}), plain_product(flat_dy, w.detach().transpose(0, 1)), 1e-13);
    check_close(dw, plain_product(flat_x.transpose(0, 1), flat_dy), 1e-13);
  }
  const Tensor weight = random({4, 5}, 4).set_requires_grad();
  const Tensor y = linear(x.transpose(0, 1), weight);
  const Grads g = grad(std::vector{y}, std::vector{x, weight}, std::vector{dy.transpose(0, 1)});
  check_close(g[0].reshape({6, 5}), plain_product(dy.reshape({6, 4}), weight.detach()), 1e-13);
  check_close(g[1], plain_product(dy.reshape({6, 4}).transpose(0, 1), x.detach().reshape({6, 5})), 1e-13);
}

TEST_CASE("a weight's gradient is written where the leaf keeps it") {
  const Tensor x = random({7, 5}, 1), dy = random({7, 3}, 2);
  const Tensor weight = random({3, 5}, 3).set_requires_grad();
  const Tensor place = Tensor::full({3, 5}, 9.0, {.dtype = DType::f64});
  weight.impl()->grad_buffer = place;
  for (int pass = 1; pass <= 2; ++pass) {
    linear(x, weight).backward(dy);
    check_close(weight.grad(), mul(plain_product(dy.transpose(0, 1), x), pass), 1e-13);
    CHECK(weight.grad().data<double>() == place.data<double>());
  }
}

TEST_CASE("matmul and linear give the same bits for every number of threads") {
  const int before = threads();
  const Tensor x = random({65, 3, 129}, 1, DType::f32), w = random({67, 129}, 2, DType::f32);
  const Tensor bias = random({67}, 3, DType::f32), dy = random({65, 3, 67}, 4, DType::f32);
  std::vector<std::vector<double>> first;
  for (const int count : {1, 2, 3}) {
    set_threads(count);
    const Tensor a = x.clone().set_requires_grad(), b = w.clone().set_requires_grad();
    const Tensor c = bias.clone().set_requires_grad();
    const Tensor y = linear(a, b, c);
    y.backward(dy);
    const std::vector<std::vector<double>> got = {y.to_vector(), a.grad().to_vector(), b.grad().to_vector(),
                                                  c.grad().to_vector(),
                                                  matmul(x, w, {.transpose_b = true}).to_vector()};
    if (first.empty()) first = got;
    CHECK(got == first);
  }
  set_threads(before);
}

TEST_CASE("matmul and linear refuse what does not fit") {
  const Tensor a = Tensor::zeros({2, 3}), b = Tensor::zeros({4, 5});
  CHECK_THROWS_WITH_AS(matmul(a, b), "matmul: inner dimensions differ, [2, 3] @ [4, 5]", Error);
  CHECK_THROWS_WITH_AS(matmul(a, b, {.transpose_a = true, .transpose_b = true}),
                       "matmul: inner dimensions differ, [3, 2] @ [5, 4]", Error);
  CHECK_THROWS_WITH_AS(matmul(Tensor::zeros({3}), a),
                       "matmul: needs at least 2 dimensions each, got [3] @ [2, 3]", Error);
  CHECK_THROWS_WITH_AS(matmul(Tensor::zeros({2, 4, 3}), Tensor::zeros({3, 3, 4})),
                       "matmul: shapes [2] and [3] do not broadcast", Error);
  CHECK_THROWS_WITH_AS(matmul(a, Tensor::zeros({3, 5}, {.dtype = DType::f64})),
                       "matmul: dtypes differ, f32 and f64", Error);
  CHECK_THROWS_WITH_AS(matmul(a, Tensor()), "matmul: got an undefined tensor", Error);
  CHECK_THROWS_WITH_AS(
      matmul(Tensor::zeros({1, 1}, {.dtype = DType::i32}), Tensor::zeros({1, 1}, {.dtype = DType::i32})),
      "matmul: takes f32, f64, bf16, not i32", Error);
  CHECK_THROWS_WITH_AS(linear(a, b), "linear: inner dimensions differ, [2, 3] @ weight [4, 5] transposed",
                       Error);
  CHECK_THROWS_WITH_AS(linear(a, Tensor::zeros({3})), "linear: weight must be [out, in], got [3]", Error);
  CHECK_THROWS_WITH_AS(linear(a, Tensor::zeros({4, 3}), Tensor::zeros({3})),
                       "linear: bias [3] does not fit weight [4, 3]", Error);
  CHECK(linear(Tensor::zeros({0, 3}), Tensor::zeros({4, 3})).shape() == Shape{0, 4});
}
