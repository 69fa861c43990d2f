// Rotary position embedding.
#include <doctest/doctest.h>

#include <cmath>

#include "core/autograd.h"
#include "core/ops.h"
#include "core/parallel.h"

using namespace galvan;

namespace {
Tensor random(const Shape& shape, uint64_t seed, DType dtype = DType::f64) {
  return Tensor::uniform(shape, {.low = -1, .seed = seed, .tensor = {.dtype = dtype}});
}
}  // namespace

TEST_CASE("rope turns every pair by its angle, far from position 0 too") {
  const int64_t T = 200, D = 10, position = 4000;
  const Tensor x = random({T, D}, 1);
  const std::vector<double> in = x.to_vector(), out = rope(x, position, 500.0).to_vector();
  for (int64_t t = 0; t < T; ++t)
    for (int64_t i = 0; i < D / 2; ++i) {
      const double angle = static_cast<double>(t + position) * std::pow(500.0, -2.0 * i / D);
      const double a = in[t * D + i], b = in[t * D + D / 2 + i];
      CHECK(out[t * D + i] == doctest::Approx(a * std::cos(angle) - b * std::sin(angle)).epsilon(1e-11));
      CHECK(out[t * D + D / 2 + i] ==
            doctest::Approx(a * std::sin(angle) + b * std::cos(angle)).epsilon(1e-11));
    }
}

TEST_CASE("rope takes strided input of any rank, and the same bits come from any number of threads") {
  const int before = threads();
  const Tensor packed = random({2, 65, 3 * 8}, 1, DType::f32);
  const Tensor heads = packed.reshape({2, 65, 3, 8}).transpose(1, 2);
  set_threads(1);
  const std::vector<double> expected = rope(heads.contiguous()).to_vector();
  for (const int count : {1, 2, 3}) {
    set_threads(count);
    CHECK(rope(heads).to_vector() == expected);
    CHECK(rope(heads.unsqueeze(0)).to_vector() == expected);
  }
  set_threads(before);
  for (int64_t b = 0; b < 2; ++b) {
    CHECK(rope(heads.select(0, b)).to_vector() == rope(heads).select(0, b).to_vector());
    CHECK(rope(heads.select(0, b).select(0, 1)).to_vector() ==
          rope(heads).select(0, b).select(0, 1).to_vector());
  }
  CHECK(rope(heads.slice(2, 40, 41), 40).to_vector()[3] ==
        doctest::Approx(rope(heads).slice(2, 40, 41).to_vector()[3]));
}

TEST_CASE("packed_rope rotates queries and keys and copies values") {
  const int64_t B = 2, T = 5, H = 4, G = 2, D = 6;
  Tensor qkv = random({B, T, (H + 2 * G) * D}, 1);
  const Tensor dy = random({B, T, (H + 2 * G) * D}, 2);
  const auto by_parts = [&](const Tensor& x, int64_t position, double sign) {
    const Tensor heads = x.detach().reshape({B, T, H + 2 * G, D}).transpose(1, 2);
    const Tensor turned = heads.slice(1, 0, H + G);
    // Turning back: mirror the second half of each pair, turn, mirror again.
    const Tensor mirror = cat(
        {Tensor::ones({D / 2}, {.dtype = DType::f64}), Tensor::full({D / 2}, sign, {.dtype = DType::f64})});
    const Tensor result = mul(rope(mul(turned, mirror), position), mirror);
    return cat({result, heads.slice(1, H + G, H + 2 * G)}, 1).transpose(1, 2).reshape({B, T, -1}).to_vector();
  };
  qkv.set_requires_grad();
  const Tensor y = packed_rope(qkv, H, G, 3);
  CHECK(y.to_vector() == by_parts(qkv, 3, 1.0));
  CHECK(grad(std::vector{y}, std::vector{qkv}, std::vector{dy})[0].to_vector() == by_parts(dy, 3, -1.0));
}

TEST_CASE("rope refuses what does not fit") {
  CHECK_THROWS_WITH_AS(rope(Tensor::zeros({3, 5})), "rope: the head size 5 is odd", Error);
  CHECK_THROWS_WITH_AS(rope(Tensor::zeros({4})), "rope: needs [.., T, D], got [4]", Error);
  CHECK_THROWS_WITH_AS(rope(Tensor::zeros({3, 4}), 0, 0.0), "rope: theta 0 is not positive", Error);
  CHECK_THROWS_WITH_AS(packed_rope(Tensor::zeros({1, 2, 50}), 4, 2),
                       "packed_rope: [1, 2, 50] is not [B, T, (4 + 2 2) D]", Error);
  CHECK_THROWS_WITH_AS(packed_rope(Tensor::zeros({1, 2, 24}), 4, 2), "packed_rope: the head size 3 is odd",
                       Error);
}
