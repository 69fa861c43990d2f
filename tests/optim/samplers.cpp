// Samplers: every point of a grid once, the same points from the same seed, Sobol's figures, and TPE against random.
#include "optim/samplers.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <set>

#include "core/check.h"
#include "optim/sobol.h"
#include "optim/tpe.h"
#include "tests/core/golden.h"

using namespace galvan;
using std::string_literals::operator""s;

namespace {

SearchSpace mixed_space() {
  return SearchSpace({{.name = "optimizer", .range = Choice{{"sgd"s, "adamw"s}}},
                      {.name = "lr", .range = LogUniform{1e-4, 1.0}, .grid_points = 5},
                      {.name = "momentum",
                       .range = Uniform{0.5, 0.9},
                       .grid_points = 3,
                       .when = Condition{"optimizer", {"sgd"s}}},
                      {.name = "nesterov", .range = Choice{{true, false}}, .when = Condition{"momentum", {}}},
                      {.name = "batch", .range = IntRange{8, 20, 4}}});
}

SearchSpace conditional_space() {
  return SearchSpace(
      {{.name = "a", .range = Choice{{"x"s, "y"s}}},
       {.name = "b", .range = IntRange{1, 3}, .when = Condition{"a", {"x"s}}},
       {.name = "c", .range = Choice{{true, false}}, .when = Condition{"b", {int64_t{2}, int64_t{3}}}},
       {.name = "lr", .range = LogUniform{1e-4, 1.0}, .grid_points = 5}});
}

std::string text(const Point& point) {
  std::string all;
  for (const auto& [name, value] : point) all += name + "=" + to_text(value) + " ";
  return all;
}

std::vector<std::string> points(const SearchSpace& space, const SamplerOptions& options, int64_t count) {
  const auto sampler = make_sampler(space, options);
  std::vector<std::string> all;
  for (int64_t i = 0; i < count; ++i) all.push_back(text(sampler->suggest(i, {}).value()));
  return all;
}

using Objective = std::function<double(const Point&)>;

// The best value that a search finds.
double search(const SearchSpace& space, const SamplerOptions& options, int64_t count, const Objective& f) {
  const auto sampler = make_sampler(space, options);
  std::vector<Trial> trials;
  for (int64_t i = 0; i < count; ++i) {
    const Point point = sampler->suggest(i, trials).value();
    trials.push_back({.number = i, .point = point, .state = TrialState::finished, .value = f(point)});
  }
  const auto less = [](const Trial& a, const Trial& b) { return a.value < b.value; };
  return std::min_element(trials.begin(), trials.end(), less)->value;
}

ParameterRange range_of(const std::string& kind) {
  if (kind == "uniform") return Uniform{-2, 5};
  if (kind == "log") return LogUniform{1e-5, 1};
  if (kind == "int") return IntRange{8, 36, 4};
  return Choice{{"a"s, "b"s, "c"s}};
}

ParameterValue value_of(const std::string& kind, double x) {
  if (kind == "int") return static_cast<int64_t>(x);
  if (kind == "choice") return std::string(1, static_cast<char>('a' + static_cast<int>(x)));
  return x;
}

}  // namespace

TEST_CASE("a space's mistakes") {
  const auto refused = [](std::vector<Parameter> parameters, const char* message) {
    CHECK_THROWS_WITH_AS(SearchSpace(std::move(parameters)), message, Error);
  };
  refused({}, "a search varies at least one parameter");
  refused({{.name = "x", .range = Choice{}}}, "x: a choice of nothing");
  refused({{.name = "x", .range = Choice{{1.0, 1.0}}}}, "x: the choice 1 is there twice");
  refused({{.name = "x", .range = Uniform{2, 1}}}, "x: the low end 2 is not below the high end 1");
  refused({{.name = "x", .range = Uniform{1, 1}}}, "x: the low end 1 is not below the high end 1");
  refused({{.name = "x", .range = LogUniform{0, 1}}},
          "x: the low end 0 is not above 0, which a logarithm needs");
  refused({{.name = "x", .range = Uniform{0, HUGE_VAL}}}, "x: the ends of a range are finite numbers");
  refused({{.name = "x", .range = IntRange{5, 4}}}, "x: the low end 5 is not below the high end 4");
  refused({{.name = "x", .range = IntRange{1, 4, 0}}}, "x: the step 0 is not above 0");
  refused({{.name = "x", .range = IntRange{1, 4, 5}}}, "x: the step 5 is longer than the range");
  refused({{.name = "x", .range = IntRange{0, INT64_MAX}}},
          "x: the ends of a range of whole numbers are at most 2^53");
  refused({{.name = "x", .range = Uniform{0, 1}, .grid_points = 1}},
          "x: a grid of 1 points does not have both ends");
  refused({{.name = "x", .range = IntRange{0, 9}, .grid_points = 3}},
          "x: grid points are for continuous ranges; this has its own values");
  refused({{.name = "x", .range = Uniform{0, 1}}, {.name = "x", .range = Uniform{0, 1}}},
          "x: is there twice");
  refused({{.name = "x", .range = Uniform{0, 1}, .when = Condition{"y", {1.0}}}},
          "x: its condition is on 'y', which is not a parameter of this search");
  refused({{.name = "x", .range = Uniform{0, 1}, .when = Condition{"y", {"b"s}}},
           {.name = "y", .range = Choice{{"a"s}}}},
          "x: its condition waits for y = b, which it never is");
  refused({{.name = "x", .range = Choice{{"a"s}}, .when = Condition{"y", {"a"s}}},
           {.name = "y", .range = Choice{{"a"s}}, .when = Condition{"x", {"a"s}}}},
          "x: its condition depends on itself");
  CHECK_THROWS_WITH_AS(mixed_space(), "nesterov: its condition names no value", Error);
}

TEST_CASE("a grid visits every point exactly once, in an order of its seed") {
  const SearchSpace space = conditional_space();
  // x with b = 1, x with b = 2 or 3 and either c, and y: each with five rates.
  REQUIRE(space.grid_size() == (1 + 2 * 2 + 1) * 5);
  const auto sampler = make_sampler(space, {.kind = SamplerKind::grid, .seed = 3});
  std::set<std::string> seen;
  std::vector<std::string> order;
  for (int64_t i = 0; i < 30; ++i) {
    order.push_back(text(sampler->suggest(i, {}).value()));
    seen.insert(order.back());
  }
  CHECK(!sampler->suggest(30, {}));
  CHECK(seen.size() == 30);
  CHECK(seen.contains("a=x b=1 lr=1e-04 "));
  CHECK(seen.contains("a=x b=3 c=false lr=1 "));
  CHECK(seen.contains("a=y lr=1 "));
  CHECK(!std::is_sorted(order.begin(), order.end()));
  CHECK(points(space, {.kind = SamplerKind::grid, .seed = 3}, 30) == order);
  CHECK(points(space, {.kind = SamplerKind::grid, .seed = 4}, 30) != order);
}

TEST_CASE("an absurd grid is refused with its size") {
  std::vector<Parameter> many;
  for (const char* name : {"a", "b", "c", "d", "e", "f", "g"})
    many.push_back({.name = name, .range = IntRange{1, 1000000000}});
  CHECK_THROWS_WITH_AS(make_sampler(SearchSpace(many), {.kind = SamplerKind::grid}),
                       "a grid over these parameters has 1e+63 points; at most 100000 are taken", Error);
  CHECK_THROWS_WITH_AS(
      make_sampler(SearchSpace({{.name = "x", .range = Uniform{0, 1}}}), {.kind = SamplerKind::grid}),
      "x: a grid needs to know how many points this range has", Error);
}

TEST_CASE("points lie in their ranges, and depend on seed and number alone") {
  const SearchSpace space({{.name = "b", .range = IntRange{8, 21, 4}},
                           {.name = "k", .range = Choice{{"x"s, "y"s, "z"s}}},
                           {.name = "l", .range = LogUniform{1e-4, 1.0}},
                           {.name = "u", .range = Uniform{-3, 5}, .when = Condition{"k", {"x"s, "z"s}}}});
  for (const SamplerKind kind : {SamplerKind::random, SamplerKind::sobol, SamplerKind::tpe}) {
    const SamplerOptions options{.kind = kind, .seed = 5};
    const auto sampler = make_sampler(space, options);
    std::map<std::string, int> count;
    double log_sum = 0;
    std::vector<Trial> trials;
    constexpr int kPoints = 512;
    for (int64_t i = 0; i < kPoints; ++i) {
      const Point point = sampler->suggest(i, {}).value();  // no trials: TPE draws at random
      const int64_t b = std::get<int64_t>(point.at("b"));
      CHECK((b == 8 || b == 12 || b == 16 || b == 20));
      ++count["b" + std::to_string(b)];
      const std::string k = std::get<std::string>(point.at("k"));
      ++count[k];
      CHECK(point.contains("u") == (k != "y"));
      if (k != "y") CHECK(std::abs(std::get<double>(point.at("u")) - 1) <= 4);
      const double l = std::get<double>(point.at("l"));
      CHECK((l >= 1e-4 && l <= 1));
      log_sum += std::log10(l);
    }
    // Six standard deviations of independent draws.
    for (const char* b : {"b8", "b12", "b16", "b20"}) CHECK(std::abs(count[b] - kPoints / 4) < 60);
    for (const char* k : {"x", "y", "z"}) CHECK(std::abs(count[k] - kPoints / 3) < 65);
    CHECK(std::abs(log_sum / kPoints + 2) < 0.31);
    CHECK(points(space, options, 40) == points(space, options, 40));
    CHECK(points(space, options, 40) != points(space, {.kind = kind, .seed = 6}, 40));
    CHECK(text(sampler->suggest(39, {}).value()) == points(space, options, 40).back());
  }
}

TEST_CASE("Sobol's sequence equals SciPy's") {
  const nlohmann::json rows = golden_file("search.json").at("sobol");
  REQUIRE(rows.size() == 40);
  for (const auto& row : rows)
    for (int d = 0; d < kSobolDimensions; ++d)
      CHECK((sobol_bits(row[0], d) >> 2) == row[static_cast<size_t>(d) + 1].get<uint32_t>());
}

TEST_CASE("quasi-random points are even in every projection") {
  // Of the first 64, each 64th of each axis has one, whatever the shift.
  std::vector<Parameter> parameters;
  for (int d = 0; d < kSobolDimensions; ++d)
    parameters.push_back({.name = "p" + std::to_string(d), .range = IntRange{0, 63}});
  const auto sampler = make_sampler(SearchSpace(parameters), {.kind = SamplerKind::sobol, .seed = 9});
  std::map<std::string, std::set<int64_t>> seen;
  for (int64_t i = 0; i < 64; ++i) {
    const Point point = sampler->suggest(i, {}).value();
    for (const auto& [name, value] : point) seen[name].insert(std::get<int64_t>(value));
  }
  for (const auto& entry : seen) CHECK_MESSAGE(entry.second.size() == 64, entry.first);
  parameters.push_back({.name = "q", .range = IntRange{0, 63}});
  CHECK_THROWS_WITH_AS(make_sampler(SearchSpace(parameters), {.kind = SamplerKind::sobol}),
                       "sobol: 22 parameters; at most 21 are taken", Error);
}

TEST_CASE("Parzen estimators have the densities of Optuna's") {
  const nlohmann::json cases = golden_file("search.json").at("parzen");
  REQUIRE(cases.size() == 9);
  for (const auto& c : cases) {
    const std::string kind = c.at("kind");
    std::vector<ParameterValue> seen;
    for (const double x : c.at("seen")) seen.push_back(value_of(kind, x));
    const ParzenEstimator estimator(range_of(kind), seen);
    for (size_t i = 0; i < c.at("at").size(); ++i) {
      const double x = c.at("at")[i], expected = c.at("log_density")[i];
      INFO(kind, ", ", seen.size(), " values, at ", x);
      CHECK(std::abs(estimator.log_density(value_of(kind, x)) - expected) <= 1e-9);
    }
  }
}

TEST_CASE("draws of a Parzen estimator follow its density") {
  const ParameterRange range = Uniform{-2, 5};
  const ParzenEstimator estimator(range, {-1.5, 3.0, 3.2, 4.9});
  constexpr int kBins = 14, kDraws = 20000;
  std::vector<double> count(kBins), expected(kBins);
  for (int i = 0; i < kDraws; ++i) {
    const double x =
        std::get<double>(estimator.sample(sampler_uniform(1, "which", i), sampler_uniform(1, "where", i)));
    REQUIRE((x >= -2 && x <= 5));
    ++count[static_cast<size_t>(std::min(kBins - 1.0, (x + 2) * kBins / 7))];
  }
  for (int i = 0; i < kBins * 100; ++i)
    expected[static_cast<size_t>(i / 100)] +=
        kDraws * std::exp(estimator.log_density(-2 + (i + 0.5) * 7 / (kBins * 100))) * 7 / (kBins * 100);
  for (size_t bin = 0; bin < kBins; ++bin)
    CHECK(std::abs(count[bin] - expected[bin]) <= 5 * std::sqrt(expected[bin]));
}

TEST_CASE("TPE finds better points than random on published functions") {
  // Branin's function, least value 0.397887 (Dixon, Szego 1978), and Hartmann's in six dimensions, least -3.32237.
  const SearchSpace plane({{.name = "x", .range = Uniform{-5, 10}}, {.name = "y", .range = Uniform{0, 15}}});
  const Objective branin = [](const Point& p) {
    const double x = std::get<double>(p.at("x")), y = std::get<double>(p.at("y"));
    const double a = y - 5.1 / (4 * M_PI * M_PI) * x * x + 5 / M_PI * x - 6;
    return a * a + 10 * (1 - 1 / (8 * M_PI)) * std::cos(x) + 10;
  };
  std::vector<Parameter> six;
  for (const char* name : {"a", "b", "c", "d", "e", "f"})
    six.push_back({.name = name, .range = Uniform{0, 1}});
  const Objective hartmann = [](const Point& p) {
    constexpr double alpha[4] = {1, 1.2, 3, 3.2};
    constexpr double A[4][6] = {{10, 3, 17, 3.5, 1.7, 8},
                                {0.05, 10, 17, 0.1, 8, 14},
                                {3, 3.5, 1.7, 10, 17, 8},
                                {17, 8, 0.05, 10, 0.1, 14}};
    constexpr double P[4][6] = {{0.1312, 0.1696, 0.5569, 0.0124, 0.8283, 0.5886},
                                {0.2329, 0.4135, 0.8307, 0.3736, 0.1004, 0.9991},
                                {0.2348, 0.1451, 0.3522, 0.2883, 0.3047, 0.6650},
                                {0.4047, 0.8828, 0.8732, 0.5743, 0.1091, 0.0381}};
    double value = 0;
    for (int i = 0; i < 4; ++i) {
      double inner = 0;
      int j = 0;
      for (const auto& [name, x] : p) {
        const double d = std::get<double>(x) - P[i][j];
        inner += A[i][j++] * d * d;
      }
      value -= alpha[i] * std::exp(-inner);
    }
    return value;
  };
  CHECK(branin({{"x", M_PI}, {"y", 2.275}}) == doctest::Approx(0.397887).epsilon(1e-5));
  constexpr double kArgmin[6] = {0.20169, 0.150011, 0.476874, 0.275332, 0.311652, 0.6573};
  Point argmin;
  for (size_t j = 0; j < 6; ++j) argmin[six[j].name] = kArgmin[j];
  CHECK(hartmann(argmin) == doctest::Approx(-3.32237).epsilon(1e-5));

  // The mean distance from the least value over 20 seeds.
  const auto mean_regret = [](const SearchSpace& space, SamplerKind kind, int64_t count, const Objective& f,
                              double least) {
    double sum = 0;
    for (uint64_t seed = 0; seed < 20; ++seed)
      sum += search(space, {.kind = kind, .seed = seed}, count, f) - least;
    return sum / 20;
  };
  const double branin_random = mean_regret(plane, SamplerKind::random, 60, branin, 0.397887);
  const double branin_tpe = mean_regret(plane, SamplerKind::tpe, 60, branin, 0.397887);
  INFO("branin, 60 trials: random ", branin_random, ", tpe ", branin_tpe);
  CHECK(branin_tpe < 0.5 * branin_random);
  const double hartmann_random = mean_regret(SearchSpace(six), SamplerKind::random, 100, hartmann, -3.32237);
  const double hartmann_tpe = mean_regret(SearchSpace(six), SamplerKind::tpe, 100, hartmann, -3.32237);
  INFO("hartmann, 100 trials: random ", hartmann_random, ", tpe ", hartmann_tpe);
  CHECK(hartmann_tpe < 0.6 * hartmann_random);
}

TEST_CASE("TPE learns from trials that were stopped or diverged, and from the order of none") {
  const SearchSpace space({{.name = "x", .range = Uniform{0, 1}}});
  std::vector<Trial> trials;
  for (int64_t i = 0; i < 20; ++i) {
    const double x = (static_cast<double>(i) + 0.5) / 20;
    Trial trial{.number = i, .point = {{"x", x}}, .state = TrialState::pruned, .reports = {{10, x}}};
    if (x > 0.5) trial.state = TrialState::diverged;
    trials.push_back(trial);
  }
  const auto sampler = make_sampler(space, {.kind = SamplerKind::tpe, .seed = 1});
  double sum = 0;
  for (int64_t number = 20; number < 60; ++number)
    sum += std::get<double>(sampler->suggest(number, trials)->at("x"));
  CHECK(sum / 40 < 0.25);
  std::vector<Trial> reversed(trials.rbegin(), trials.rend());
  CHECK(sampler->suggest(20, trials) == sampler->suggest(20, reversed));
}
