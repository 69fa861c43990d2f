#include "optim/range_test.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "core/check.h"

using namespace galvan;

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// A test over 0, 1, 2, ... whose smoothed losses are exactly these.
RangeCurve curve_of(std::vector<double> losses, bool diverged = false) {
  RangeCurve curve{.losses = losses, .smoothed = losses, .diverged = diverged};
  for (size_t i = 0; i < losses.size(); ++i) curve.values.push_back(static_cast<double>(i));
  return curve;
}

RangeFindings found_in(const std::vector<double>& losses) { return analyse(combine({curve_of(losses)})); }

}  // namespace

TEST_CASE("sweeps are even on their own axis and end where they should") {
  CHECK(sweep_values({.low = 1, .high = 3, .steps = 5, .sweep = Sweep::linear}) ==
        std::vector<double>{1, 1.5, 2, 2.5, 3});
  const std::vector<double> decades = sweep_values({.low = 1e-3, .high = 10, .steps = 5});
  REQUIRE(decades.size() == 5);
  for (size_t i = 0; i < 5; ++i)
    CHECK(decades[i] == doctest::Approx(std::pow(10.0, static_cast<double>(i) - 3)).epsilon(1e-12));
  CHECK(decades.front() == 1e-3);
  CHECK(decades.back() == 10);
}

TEST_CASE("sweeps that make no sense") {
  const auto message = [](const RangeTestOptions& options) -> std::string {
    try {
      sweep_values(options);
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  };
  CHECK(message({.low = 2, .high = 1}) == "range test: from 2 to 1 is no range");
  CHECK(message({.low = NAN, .high = 1}) == "range test: from nan to 1 is no range");
  CHECK(message({.low = 0, .high = 1}) ==
        "range test: an exponential sweep cannot begin at 0; take a number above 0, or a linear sweep");
  CHECK(message({.steps = 1}) == "range test: 1 steps are too few, take at least 2");
  CHECK(message({.smoothing = 1}) == "range test: smoothing 1 must be at least 0 and below 1");
  CHECK(message({.stop_above = 0.5}) == "range test: stop_above 0.5 must be 0 or above 1");
}

TEST_CASE("the callback sees each value once; the mean is corrected for its start") {
  std::vector<double> seen;
  const RangeCurve curve =
      range_test({.low = 1, .high = 3, .steps = 3, .sweep = Sweep::linear, .smoothing = 0.5, .stop_above = 0},
                 [&](double value) {
                   seen.push_back(value);
                   return 8.0 / value;  // 8, 4, 8/3
                 });
  CHECK(seen == std::vector<double>{1, 2, 3});
  CHECK(curve.values == seen);
  CHECK(curve.losses == std::vector<double>{8, 4, 8.0 / 3});
  REQUIRE(curve.smoothed.size() == 3);
  CHECK(curve.smoothed[0] == 8);                                    // 4 / (1 - 1/2)
  CHECK(curve.smoothed[1] == doctest::Approx(16.0 / 3));            // (2 + 2) / (1 - 1/4)
  CHECK(curve.smoothed[2] == doctest::Approx((10.0 / 3) / 0.875));  // (2 + 4/3) / (1 - 1/8)
  CHECK(!curve.diverged);
}

TEST_CASE("a test ends at NaN, at infinity, and where the loss is a multiple of its lowest") {
  const RangeTestOptions options{
      .low = 0, .high = 9, .steps = 10, .sweep = Sweep::linear, .smoothing = 0, .stop_above = 2};
  for (const double bad : {std::nan(""), kInfinity}) {
    const RangeCurve curve = range_test(options, [&](double v) { return v < 4 ? 5 - v : bad; });
    CHECK(curve.diverged);
    REQUIRE(curve.values.size() == 5);
    CHECK(!std::isfinite(curve.losses[4]));
    CHECK(curve.smoothed == std::vector<double>{5, 4, 3, 2, kInfinity});
    CHECK(combine({curve}).values.size() == 4);
    CHECK(combine({curve}).diverges == 4);
  }
  const auto vee = [](double v) { return v < 4 ? 5 - v : 2 + (v - 3); };  // 5 4 3 2 3 4 5 ...
  const RangeCurve curve = range_test(options, vee);
  CHECK(curve.diverged);
  CHECK(curve.losses == std::vector<double>{5, 4, 3, 2, 3, 4, 5});
  CHECK(combine({curve}).diverges == 6);
  RangeTestOptions patient = options;
  patient.stop_above = 0;
  CHECK(!range_test(patient, vee).diverged);
  CHECK(range_test(patient, vee).values.size() == 10);
}

TEST_CASE("several seeds: the median and its band, until half of them have diverged") {
  const RangeBand band = combine({curve_of({5, 4, 3, 2}), curve_of({6, 2}, true), curve_of({4, 3, 5, 7})});
  CHECK(band.values == std::vector<double>{0, 1, 2, 3});
  CHECK(band.median == std::vector<double>{5, 4, 5, 7});
  CHECK(band.lowest == std::vector<double>{4, 3, 3, 2});
  CHECK(band.highest == std::vector<double>{6, kInfinity, kInfinity, kInfinity});
  CHECK(!band.diverges);

  const RangeBand half = combine({curve_of({5, 4, 3, 2}), curve_of({7, 6}, true)});
  CHECK(half.median == std::vector<double>{6});
  CHECK(half.diverges == 1);

  CHECK_THROWS_WITH_AS(combine({}), "range test: there are no curves to combine", Error);
  RangeCurve other = curve_of({1, 2});
  other.values[1] = 7;
  CHECK_THROWS_WITH_AS(combine({curve_of({1, 2}), other}),
                       "range test: curves of 1 and of 7 at step 1 do not belong together", Error);
}

TEST_CASE("a curve that falls and rises: every finding is where it should be") {
  //                          0   1   2  3  4  5  6  7  8    9
  const RangeFindings f = found_in({10, 10, 9.5, 9, 7, 4, 3, 2, 2.5, 4});
  CHECK(f.starts == 3);    // the fall is 8; at 3 the loss is below 9.2 for good
  CHECK(f.steepest == 4);  // from 9 to 4 over its neighbours
  CHECK(f.slows == 7);     // 2.8 or less
  CHECK(f.lowest == 7);
  CHECK(f.ragged == 9);  // above 2.8
  const LrRange range = suggest_lr_range(f);
  CHECK(range.max_lr == 9);
  CHECK(range.base_lr == doctest::Approx(0.9));  // a tenth, which is less than where learning starts
  CHECK(suggest_lr_range(f, LrCeiling::slows).max_lr == 7);
}

TEST_CASE("a curve that only falls has no end of its range") {
  const RangeFindings f = found_in({10, 9, 7, 6, 5.5});
  CHECK(f.starts == 1);
  CHECK(f.steepest == 1);
  CHECK(f.slows == 4);
  CHECK(f.lowest == 4);
  CHECK(!f.ragged);
}

TEST_CASE("a curve that never falls teaches nothing") {
  for (const std::vector<double>& losses :
       {std::vector<double>{3, 3, 3, 3}, {3, 4, 5, 6}, {4, 3.93, 3.95, 4}, {3}, {3, 2.99, 3.05, 3.8}}) {
    const RangeFindings f = found_in(losses);
    CHECK(!f.starts);
    CHECK(!f.steepest);
    CHECK(!f.slows);
    CHECK(!f.lowest);
    CHECK(!f.ragged);
    CHECK(f.rises == (losses.back() > losses.front()));
    const std::string advice =
        f.rises ? "it rises: begin lower, or with more steps or a larger batch, of which one sees more"
                : "end higher";
    CHECK_THROWS_WITH_AS(suggest_lr_range(f),
                         ("range test: the loss does not fall anywhere; " + advice).c_str(), Error);
  }
  const RangeFindings nothing = analyse(combine({curve_of({kInfinity}, true)}));
  CHECK(!nothing.lowest);
  CHECK(nothing.ragged == 0);
  CHECK_THROWS_WITH_AS(suggest_lr_range(nothing),
                       "range test: the loss does not fall anywhere; it diverges: begin lower", Error);
}

TEST_CASE("a dip before the learning is not its start, a spike that is over not its end") {
  const RangeFindings dip = found_in({10, 8.5, 10, 8, 5, 2, 2});
  CHECK(dip.starts == 3);
  const RangeFindings late = found_in({10, 8, 5, 4, 7, 3, 3});
  CHECK(!late.ragged);
  CHECK(late.lowest == 5);
  CHECK(suggest_lr_range(late).max_lr == 5);
  CHECK(suggest_lr_range(late, LrCeiling::slows).max_lr == 5);
}

TEST_CASE("where the loss stays low for long, it slows long before it is lowest or turns ragged") {
  //                                0   1  2  3  4    5    6  7    8  9
  const RangeFindings f = found_in({10, 9, 6, 3, 2.5, 2.6, 2, 2.4, 5, 9});
  CHECK(f.slows == 4);
  CHECK(f.lowest == 6);
  CHECK(f.ragged == 8);
  CHECK(suggest_lr_range(f, LrCeiling::slows).max_lr == 4);
  CHECK(suggest_lr_range(f).max_lr == 8);
}

TEST_CASE("noise of a tenth of the fall moves nothing far") {
  // A quadratic under gradient descent with noise: it falls from about 0.01 on, and diverges above 2.
  std::vector<RangeCurve> curves;
  for (uint32_t seed : {1u, 2u, 3u}) {
    uint32_t state = seed;
    double p = 3;
    curves.push_back(range_test({.low = 1e-5, .high = 10, .steps = 240}, [&](double lr) {
      state = state * 1664525u + 1013904223u;
      const double noise = static_cast<double>(state >> 8) / (1 << 24) - 0.5;
      const double loss = 1 + p * p + noise;
      p -= lr * (p + noise);
      return loss;
    }));
  }
  const RangeFindings f = analyse(combine(curves));
  REQUIRE(f.lowest.has_value());
  REQUIRE(f.ragged.has_value());
  CHECK(*f.starts > 1e-3);
  CHECK(*f.starts < 0.02);
  CHECK(*f.starts < *f.steepest);
  CHECK(*f.steepest < *f.slows);
  CHECK(*f.slows <= *f.lowest);
  CHECK(*f.lowest <= 2.5);
  CHECK(*f.ragged > 2);
  CHECK(*f.ragged < 6);
}
