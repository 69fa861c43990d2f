// Attention: against the composition of matmuls and a plain softmax, over strided inputs.
#include <doctest/doctest.h>

#include <cmath>

#include "core/allocator.h"
#include "core/autograd.h"
#include "core/parallel.h"
#include "tests/core/close.h"
#include "tests/core/each_isa.h"

using namespace galvan;

namespace {

Tensor random(const Shape& shape, uint64_t seed, DType dtype = DType::f32) {
  return Tensor::uniform(shape, {.low = -2, .high = 2, .seed = seed, .tensor = {.dtype = dtype}});
}

struct Case {
  int64_t B, H, G, Tq, Tk, D;
  bool causal = true;
};

std::ostream& operator<<(std::ostream& out, const Case& c) {
  return out << "B " << c.B << ", H " << c.H << ", G " << c.G << ", Tq " << c.Tq << ", Tk " << c.Tk << ", D "
             << c.D << (c.causal ? ", causal" : ", full");
}

struct Inputs {
  Tensor q, k, v, dy;

  Inputs to(DType dtype) const { return {q.to(dtype), k.to(dtype), v.to(dtype), dy.to(dtype)}; }
};

Inputs random_inputs(const Case& c) {
  return {random({c.B, c.H, c.Tq, c.D}, 1), random({c.B, c.G, c.Tk, c.D}, 2),
          random({c.B, c.G, c.Tk, c.D}, 3), random({c.B, c.H, c.Tq, c.D}, 4)};
}

struct Results {
  Tensor y, dq, dk, dv;
};

// softmax(scale q k^T + mask) v by the composition it replaces, in f64, with the gradients of sum y dy.
Results composed(const Case& c, const Inputs& in) {
  const int64_t group = c.H / c.G;
  const double scale = 1.0 / std::sqrt(static_cast<double>(c.D));
  const auto wide = [&](const Tensor& x) {
    return x.to(DType::f64).unsqueeze(2).expand({c.B, c.G, group, c.Tk, c.D}).reshape({c.B, c.H, c.Tk, c.D});
  };
  const Tensor q64 = in.q.to(DType::f64), k64 = wide(in.k), v64 = wide(in.v), dy64 = in.dy.to(DType::f64);
  const Tensor scores = matmul(q64, k64, {.transpose_b = true});
  std::vector<double> p = scores.to_vector();
  for (int64_t r = 0; r < c.B * c.H * c.Tq; ++r) {
    double* row = p.data() + r * c.Tk;
    const int64_t seen = c.causal ? r % c.Tq + c.Tk - c.Tq + 1 : c.Tk;
    double sum = 0.0;
    for (int64_t j = 0; j < c.Tk; ++j) sum += row[j] = j < seen ? std::exp(scale * row[j]) : 0.0;
    for (int64_t j = 0; j < c.Tk; ++j) row[j] /= sum;
  }
  const Tensor P = Tensor::from(p, scores.shape());
  const Tensor y = matmul(P, v64);
  std::vector<double> ds = matmul(dy64, v64, {.transpose_b = true}).to_vector();
  for (int64_t r = 0; r < c.B * c.H * c.Tq; ++r) {
    double delta = 0.0;
    for (int64_t j = 0; j < c.Tk; ++j) delta += p[r * c.Tk + j] * ds[r * c.Tk + j];
    for (int64_t j = 0; j < c.Tk; ++j)
      ds[r * c.Tk + j] = scale * p[r * c.Tk + j] * (ds[r * c.Tk + j] - delta);
  }
  const Tensor dS = Tensor::from(ds, scores.shape());
  const auto narrow = [&](const Tensor& x) {
    return sum(x.reshape({c.B, c.G, group, c.Tk, c.D}), {.dims = {2}});
  };
  return {y, matmul(dS, k64), narrow(matmul(dS, q64, {.transpose_a = true})),
          narrow(matmul(P, dy64, {.transpose_a = true}))};
}

Results attended(const Case& c, const Inputs& in) {
  Tensor q = in.q.detach(), k = in.k.detach(), v = in.v.detach();
  q.set_requires_grad(), k.set_requires_grad(), v.set_requires_grad();
  const Tensor y = attention(q, k, v, {.causal = c.causal});
  const Grads g = grad(std::vector{y}, std::vector{q, k, v}, std::vector{in.dy});
  return {y.detach(), g[0], g[1], g[2]};
}

void check_same(const Results& got, const Results& expected, double tolerance) {
  check_close(got.y, expected.y, tolerance);
  check_close(got.dq, expected.dq, tolerance);
  check_close(got.dk, expected.dk, tolerance);
  check_close(got.dv, expected.dv, tolerance);
}

void check_equal(const Results& got, const Results& expected) {
  CHECK(got.y.to_vector() == expected.y.to_vector());
  CHECK(got.dq.to_vector() == expected.dq.to_vector());
  CHECK(got.dk.to_vector() == expected.dk.to_vector());
  CHECK(got.dv.to_vector() == expected.dv.to_vector());
}

const Case kCases[] = {
    {1, 1, 1, 1, 1, 8},          {2, 3, 3, 31, 31, 20},        {1, 2, 1, 33, 33, 64},
    {1, 2, 2, 65, 65, 128},      {1, 4, 2, 31, 33, 8},         {1, 2, 1, 1, 65, 64},
    {1, 3, 1, 5, 130, 20},       {1, 2, 2, 130, 131, 5},       {2, 2, 2, 33, 65, 16, false},
    {1, 4, 2, 65, 31, 8, false}, {1, 1, 1, 129, 1, 33, false}, {1, 2, 1, 193, 200, 32, false},
};

}  // namespace

TEST_CASE("attention equals matmul, softmax, matmul on every instruction set") {
  for (const Case& c : kCases) {
    CAPTURE(c);
    const Inputs in = random_inputs(c), bf16 = in.to(DType::bf16);
    const Results expected = composed(c, in);
    for_each_isa([&] { check_same(attended(c, in), expected, 2e-5); });
    check_same(attended(c, in.to(DType::f64)), expected, 1e-12);
    check_same(attended(c, bf16), composed(c, bf16), 0.03);
  }
}

TEST_CASE("attention gives the same bits for every number of threads and every layout") {
  const int before = threads();
  for (const Case& c : kCases) {
    CAPTURE(c);
    const Inputs in = random_inputs(c);
    set_threads(1);
    const Results one = attended(c, in);
    for (const int count : {2, 3}) {
      set_threads(count);
      check_equal(attended(c, in), one);
    }
    const auto turned = [](const Tensor& x) { return x.transpose(1, 2).contiguous().transpose(1, 2); };
    const auto scattered = [](const Tensor& x) { return x.transpose(1, 3).contiguous().transpose(1, 3); };
    check_equal(attended(c, {turned(in.q), scattered(in.k), turned(in.v), scattered(in.dy)}), one);
  }
  set_threads(before);
}

TEST_CASE("packed_attention is attention inside one projection") {
  const int64_t B = 2, T = 67, H = 4, G = 2, D = 12;
  for (const DType dtype : {DType::f32, DType::f64, DType::bf16}) {
    Tensor qkv = random({B, T, (H + 2 * G) * D}, 7, dtype);
    const Tensor dy = random({B, T, H * D}, 8, dtype);
    const auto heads = [&](int64_t first, int64_t count) {
      return qkv.slice(2, first * D, (first + count) * D).reshape({B, T, count, D}).transpose(1, 2);
    };
    const Tensor q = heads(0, H).detach(), k = heads(H, G).detach(), v = heads(H + G, G).detach();
    qkv.set_requires_grad();
    const Tensor y = packed_attention(qkv, H, G);
    CHECK(y.shape() == Shape{B, T, H * D});
    const Tensor dqkv = grad(std::vector{y}, std::vector{qkv}, std::vector{dy})[0];
    const Results parts = attended({B, H, G, T, T, D}, {q, k, v, dy.reshape({B, T, H, D}).transpose(1, 2)});
    CHECK(y.to_vector() == parts.y.transpose(1, 2).reshape({B, T, H * D}).to_vector());
    const auto flat = [&](const Tensor& x) { return x.transpose(1, 2).reshape({B, T, -1}); };
    CHECK(dqkv.to_vector() == cat({flat(parts.dq), flat(parts.dk), flat(parts.dv)}, 2).to_vector());
  }
}

TEST_CASE("attention reads a cache of keys and values step by step") {
  const int64_t B = 2, H = 4, G = 2, T = 70, D = 16;
  const Tensor q = random({B, H, T, D}, 1), k = random({B, G, T, D}, 2), v = random({B, G, T, D}, 3);
  const Tensor whole = attention(q, k, v);
  const Tensor k_cache = Tensor::full({B, G, 100, D}, 9.0), v_cache = Tensor::full({B, G, 100, D}, 9.0);
  for (int64_t t = 0; t < T; ++t) {
    k_cache.slice(2, t, t + 1).copy_(k.slice(2, t, t + 1));
    v_cache.slice(2, t, t + 1).copy_(v.slice(2, t, t + 1));
    const Tensor y = attention(q.slice(2, t, t + 1), k_cache.slice(2, 0, t + 1), v_cache.slice(2, 0, t + 1));
    check_close(y, whole.slice(2, t, t + 1), 1e-6);
  }
}

TEST_CASE("attention's result merges its heads without a copy") {
  const Tensor y = attention(random({2, 3, 5, 4}, 1), random({2, 3, 5, 4}, 2), random({2, 3, 5, 4}, 3));
  CHECK(y.transpose(1, 2).is_contiguous());
  CHECK(y.transpose(1, 2).reshape({2, 5, 12}).data<float>() == y.data<float>());
}

TEST_CASE("attention stores no scores, forward or backward") {
  const Case c{1, 1, 1, 2048, 2048, 8};
  const Inputs in = random_inputs(c);
  reset_peak_memory();
  const int64_t before = memory_stats().bytes_in_use;
  attended(c, in);
  CHECK(memory_stats().peak_bytes_in_use - before < c.Tq * c.Tk);  // a quarter of the scores
}

TEST_CASE("large and infinite scores") {
  const Tensor q = mul(random({1, 1, 33, 8}, 1), 1e4), k = mul(random({1, 1, 33, 8}, 2), 1e4);
  for (const double value : attention(q, k, random({1, 1, 33, 8}, 3)).to_vector())
    CHECK(std::isfinite(value));
  Tensor bad = random({1, 1, 33, 8}, 4).clone();
  bad.select(2, 20).fill_(NAN);
  const std::vector<double> y = attention(q, random({1, 1, 33, 8}, 5), bad).to_vector();
  for (int64_t t = 0; t < 33; ++t) CHECK(std::isnan(y[t * 8]) == (t >= 20));
}

TEST_CASE("attention refuses what does not fit") {
  const Tensor q = Tensor::zeros({1, 4, 5, 8});
  CHECK_THROWS_WITH_AS(attention(q, Tensor::zeros({1, 3, 5, 8}), Tensor::zeros({1, 3, 5, 8})),
                       "attention: 3 key/value heads do not divide 4 heads", Error);
  CHECK_THROWS_WITH_AS(attention(q, Tensor::zeros({1, 4, 5, 6}), Tensor::zeros({1, 4, 5, 6})),
                       "attention: queries [1, 4, 5, 8] do not fit keys [1, 4, 5, 6]", Error);
  CHECK_THROWS_WITH_AS(attention(q, q, Tensor::zeros({1, 4, 6, 8})),
                       "attention: keys [1, 4, 5, 8] and values [1, 4, 6, 8] differ", Error);
  CHECK_THROWS_WITH_AS(attention(q, Tensor::zeros({1, 4, 3, 8}), Tensor::zeros({1, 4, 3, 8})),
                       "attention: causal needs at least as many keys as queries, not 3 for 5", Error);
  CHECK_THROWS_WITH_AS(attention(Tensor::zeros({2, 2}), q, q),
                       "attention: needs [B, H, T, D], got [2, 2] and [1, 4, 5, 8]", Error);
  CHECK_THROWS_WITH_AS(packed_attention(Tensor::zeros({1, 5, 50}), 4, 2),
                       "packed_attention: [1, 5, 50] is not [B, T, (4 + 2 2) D]", Error);
  CHECK_THROWS_WITH_AS(packed_attention(Tensor::zeros({1, 5, 50}), 4, 3),
                       "packed_attention: 3 key/value heads do not divide 4 heads", Error);
  CHECK(attention(Tensor::zeros({0, 4, 5, 8}), Tensor::zeros({0, 4, 5, 8}), Tensor::zeros({0, 4, 5, 8}))
            .numel() == 0);
}
