// The op that draws an index from logits.
#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "core/check.h"
#include "core/ops.h"
#include "core/sampling_rule.h"

using namespace galvan;

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// How often each index comes in 1000 draws at evenly spread random numbers.
std::vector<int> draws(const std::vector<double>& probabilities, const Sampling& from,
                       DType dtype = DType::f64) {
  std::vector<double> logits;
  for (double p : probabilities) logits.push_back(std::log(p));
  const Tensor x = Tensor::from(logits, {static_cast<int64_t>(logits.size())}, {.dtype = dtype});
  std::vector<int> counts(logits.size());
  for (int i = 0; i < 1000; ++i)
    ++counts[static_cast<size_t>(sample(x, from, static_cast<uint64_t>((i + 0.5) / 1000 * 0x1p64)).item())];
  return counts;
}

int drawn(const std::vector<double>& logits, const Sampling& from = {}, uint64_t random = 0) {
  return static_cast<int>(
      sample(Tensor::from(logits, {static_cast<int64_t>(logits.size())}), from, random).item());
}

}  // namespace

TEST_CASE("indices are drawn with their probabilities") {
  const std::vector<double> p = {0.1, 0.4, 0.2, 0.0, 0.3};
  for (const DType dtype : {DType::f32, DType::f64}) {
    CHECK(draws(p, {}, dtype) == std::vector<int>{100, 400, 200, 0, 300});
    CHECK(draws(p, {.temperature = 0}, dtype) == std::vector<int>{0, 1000, 0, 0, 0});
    CHECK(draws(p, {.temperature = 1e-300}, dtype) == std::vector<int>{0, 1000, 0, 0, 0});
    CHECK(draws(p, {.top_k = 1}, dtype) == std::vector<int>{0, 1000, 0, 0, 0});
    CHECK(draws({0.1, 0.6, 0.3}, {.top_k = 2}, dtype) == std::vector<int>{0, 667, 333});
    CHECK(draws(p, {.top_p = 0.69}, dtype) == std::vector<int>{0, 571, 0, 0, 429});
    CHECK(draws(p, {.top_k = 3, .top_p = 0.75}, dtype) == std::vector<int>{0, 571, 0, 0, 429});
    CHECK(draws({0.2, 0.8}, {.temperature = 0.5}, dtype) ==
          std::vector<int>{59, 941});  // squares: 0.04 to 0.64
  }
}

TEST_CASE("equal logits: the smaller index comes first") {
  CHECK(draws({0.25, 0.25, 0.25, 0.25}, {.top_k = 2}) == std::vector<int>{500, 500, 0, 0});
  CHECK(draws({0.25, 0.25, 0.25, 0.25}, {.top_p = 0.6}) == std::vector<int>{333, 334, 333, 0});
  CHECK(drawn({-1.0, 0.0, -0.0, 0.0}, {.temperature = 0}) == 1);
  CHECK(drawn({-1.0, -0.0, 0.0, 0.0}, {.top_k = 1}) == 1);
}

TEST_CASE("the ends of the random numbers, and one logit") {
  const uint64_t last = std::numeric_limits<uint64_t>::max();
  CHECK(drawn({0, 0, 0}, {}, 0) == 0);
  CHECK(drawn({0, 0, 0}, {}, last) == 2);
  CHECK(drawn({-kInfinity, 0, -kInfinity}, {}, 0) == 1);
  CHECK(drawn({-kInfinity, 0, -kInfinity}, {}, last) == 1);
  CHECK(drawn({3.5}, {.top_p = 1e-9}, last) == 0);
}

TEST_CASE("weights are exponentials to six digits, and whole") {
  CHECK(sampling_weight(0, 1) == uint64_t{1} << 40);
  for (float x = 0; x > -28; x -= 0.37f) {
    const double exact = 0x1p40 * std::exp(double{x});
    CAPTURE(x);
    CHECK(std::fabs(static_cast<double>(sampling_weight(x, 1)) - exact) <= 1 + 1e-6 * exact);
  }
  CHECK(sampling_weight(-30, 1) == 0);
  CHECK(sampling_weight(-std::numeric_limits<float>::infinity(), 1) == 0);
}

TEST_CASE("logits and options that sample refuses, or cannot draw from") {
  CHECK(drawn({0.5, NAN}) == kLogitIsNan);
  CHECK(drawn({0.5, kInfinity}) == kLargestLogitIsInfinite);
  CHECK(drawn({-kInfinity, -kInfinity}) == kLargestLogitIsInfinite);
  CHECK_THROWS_WITH_AS(sample(Tensor::zeros({2, 3}), {}, 0), "sample: logits must be [V], got [2, 3]", Error);
  CHECK_THROWS_WITH_AS(sample(Tensor::zeros({0}), {}, 0), "sample: 0 logits are not 1 to 8388608", Error);
  CHECK_THROWS_WITH_AS(drawn({1}, {.temperature = -1}), "sample: temperature -1 is not 0 or more", Error);
  CHECK_THROWS_WITH_AS(drawn({1}, {.top_k = -1}), "sample: top_k -1 is negative", Error);
  CHECK_THROWS_WITH_AS(drawn({1}, {.top_p = 0}), "sample: top_p 0 is not in (0, 1]", Error);
}
