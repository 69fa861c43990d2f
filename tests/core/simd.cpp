#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <vector>

#include "core/cpu/simd/arrays.h"
#include "tests/core/each_isa.h"
#include "tests/core/worst.h"

using namespace galvan;

namespace {

std::vector<float> vector_exp(std::vector<float> x) {
  with_isa([&]<Isa isa>() { exp_array<isa>(static_cast<int64_t>(x.size()), x.data(), x.data()); });
  return x;
}

// Units in the last place of `expected` between the two, for a result that is no NaN.
double ulps(float value, double expected) {
  const float rounded = static_cast<float>(expected);
  if (std::isinf(rounded) || std::isinf(value)) return value == rounded ? 0 : 1e9;
  const double unit = std::nextafter(rounded, INFINITY) - static_cast<double>(rounded);
  return std::abs(value - expected) / unit;
}

}  // namespace

TEST_CASE("the best instruction set is available") { CHECK(isa_available(isa())); }

TEST_CASE("vector exp is within 1.1 units of the last place") {
  std::vector<float> x;
  for (float value = -104.5f; value < 89.5f; value += 0.00371f) x.push_back(value);
  for (float value = 1e-10f; value < 1; value *= 1.37f) x.insert(x.end(), {value, -value});
  for_each_isa([&] {
    const std::vector<float> y = vector_exp(x);
    double worst = 0;
    for (size_t i = 0; i < x.size(); ++i) worst = worse(worst, ulps(y[i], std::exp(double{x[i]})));
    CHECK(worst < 1.1);
  });
}

TEST_CASE("vector exp of special values") {
  const float infinity = std::numeric_limits<float>::infinity();
  for_each_isa([&] {
    const std::vector<float> y = vector_exp({0.0f, -0.0f, infinity, -infinity, 88.73f, -104.0f, NAN});
    CHECK(y[0] == 1.0f);
    CHECK(y[1] == 1.0f);
    CHECK(y[2] == infinity);
    CHECK(y[3] == 0.0f);
    CHECK(y[4] == infinity);
    CHECK(y[5] == 0.0f);
    CHECK(std::isnan(y[6]));
  });
}

TEST_CASE("vector loops handle every tail and touch nothing beyond it") {
  for_each_isa([&] {
    for (const size_t n : {0, 1, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33}) {
      std::vector<float> y(n + 1, 1.0f);
      with_isa([&]<Isa isa>() { exp_array<isa>(static_cast<int64_t>(n), y.data(), y.data()); });
      for (size_t i = 0; i < n; ++i) CHECK(y[i] == doctest::Approx(std::exp(1.0)));
      CHECK(y[n] == 1.0f);
    }
  });
}
