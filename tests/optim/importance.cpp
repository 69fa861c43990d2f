// The importance of parameters on functions whose variance is known.
#include "optim/importance.h"

#include <doctest/doctest.h>

#include <cmath>

#include "core/check.h"
#include "optim/samplers.h"

using namespace galvan;

namespace {

std::vector<std::vector<double>> random_points(int64_t count, const std::vector<std::string>& names) {
  std::vector<std::vector<double>> points;
  for (int64_t i = 0; i < count; ++i) {
    points.emplace_back();
    for (const std::string& name : names) points.back().push_back(sampler_uniform(5, name, i));
  }
  return points;
}

template <class F>
std::vector<double> shares(const std::vector<std::vector<double>>& points, const F& f) {
  std::vector<double> values;
  for (const auto& x : points) values.push_back(f(x));
  return importance(points, values);
}

}  // namespace

TEST_CASE("a sum's variance is shared out as its terms have it") {
  const auto points = random_points(600, {"x", "y", "z"});
  // Variances 9/12 and 1/12 of uniform coordinates: 0.9 and 0.1.
  const auto found = shares(points, [](const auto& p) { return 3 * p[0] + p[1]; });
  CHECK(std::abs(found[0] - 0.9) < 0.03);
  CHECK(std::abs(found[1] - 0.1) < 0.03);
  CHECK(found[2] < 0.01);
}

TEST_CASE("what two coordinates do together is neither's") {
  const auto points = random_points(600, {"x", "y"});
  const auto found = shares(points, [](const auto& p) { return (p[0] < 0.5) == (p[1] < 0.5) ? 1.0 : 0.0; });
  CHECK(found[0] < 0.1);
  CHECK(found[1] < 0.1);
}

TEST_CASE("few points, and none that differ") {
  const auto points = random_points(4, {"x"});
  CHECK(shares(points, [](const auto&) { return 2.0; }) == std::vector<double>{0.0});
  CHECK_THROWS_WITH_AS(importance({{0.1}, {0.2}}, {1, 2}),
                       "importance: 2 points are too few; at least 4 are needed", Error);
}
