#include "optim/range_test.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/check.h"

namespace galvan {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kPart = 0.1;        // of the fall, which counts as a change
constexpr double kLeastFall = 0.02;  // of the first loss

void validate(const RangeTestOptions& o) {
  const bool finite = std::isfinite(o.low) && std::isfinite(o.high);
  check(finite && o.low < o.high, "range test: from ", o.low, " to ", o.high, " is no range");
  check(o.sweep != Sweep::exponential || o.low > 0, "range test: an exponential sweep cannot begin at ",
        o.low, "; take a number above 0, or a linear sweep");
  check(o.steps >= 2, "range test: ", o.steps, " steps are too few, take at least 2");
  check(o.smoothing >= 0 && o.smoothing < 1, "range test: smoothing ", o.smoothing,
        " must be at least 0 and below 1");
  check(o.stop_above == 0 || o.stop_above > 1, "range test: stop_above ", o.stop_above,
        " must be 0 or above 1");
}

double median_of(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

// Up to which learning goes well.
double last_good(const RangeFindings& found) {
  check(found.lowest.has_value(), "range test: the loss does not fall anywhere; ",
        found.ragged  ? "it diverges: begin lower"
        : found.rises ? "it rises: begin lower, or with more steps or a larger batch, of which one sees more"
                      : "end higher");
  return found.ragged.value_or(*found.lowest);
}

}  // namespace

std::vector<double> sweep_values(const RangeTestOptions& o) {
  validate(o);
  std::vector<double> values;
  for (int64_t i = 0; i < o.steps; ++i) {
    const double part = static_cast<double>(i) / static_cast<double>(o.steps - 1);
    values.push_back(o.sweep == Sweep::linear ? o.low + (o.high - o.low) * part
                                              : o.low * std::pow(o.high / o.low, part));
  }
  values.back() = o.high;
  return values;
}

RangeCurve range_test(const RangeTestOptions& options, const std::function<double(double value)>& train) {
  RangeCurve curve;
  double mean = 0, weight = 1, lowest = kInfinity;  // weight = b^k
  for (const double value : sweep_values(options)) {
    const double loss = train(value);
    curve.values.push_back(value);
    curve.losses.push_back(loss);
    mean = options.smoothing * mean + (1 - options.smoothing) * loss;
    weight *= options.smoothing;
    const double smoothed = std::isfinite(loss) ? mean / (1 - weight) : kInfinity;
    curve.smoothed.push_back(smoothed);
    lowest = std::min(lowest, smoothed);
    curve.diverged = !std::isfinite(smoothed) ||
                     (options.stop_above > 0 && lowest > 0 && smoothed > options.stop_above * lowest);
    if (curve.diverged) break;
  }
  return curve;
}

RangeBand combine(const std::vector<RangeCurve>& curves) {
  check(!curves.empty(), "range test: there are no curves to combine");
  const auto by_length = [](const RangeCurve& a, const RangeCurve& b) {
    return a.values.size() < b.values.size();
  };
  const std::vector<double>& values = std::max_element(curves.begin(), curves.end(), by_length)->values;
  RangeBand band;
  for (size_t i = 0; i < values.size(); ++i) {
    std::vector<double> losses;
    for (const RangeCurve& curve : curves) {
      const bool has = i < curve.values.size();
      check(!has || curve.values[i] == values[i], "range test: curves of ", values[i], " and of ",
            has ? curve.values[i] : 0.0, " at step ", i, " do not belong together");
      const bool diverged = curve.diverged && i + 1 == curve.values.size();
      losses.push_back(has && !diverged ? curve.smoothed[i] : kInfinity);
    }
    const double median = median_of(losses);
    if (!std::isfinite(median)) {
      band.diverges = values[i];
      return band;
    }
    const auto [low, high] = std::minmax_element(losses.begin(), losses.end());
    band.values.push_back(values[i]);
    band.median.push_back(median);
    band.lowest.push_back(*low);
    band.highest.push_back(*high);
  }
  return band;
}

RangeFindings analyse(const RangeBand& band) {
  RangeFindings found{.ragged = band.diverges};
  const std::vector<double>& loss = band.median;
  if (loss.empty()) return found;
  const auto lowest = static_cast<size_t>(std::min_element(loss.begin(), loss.end()) - loss.begin());
  const double first = loss[0], fall = first - loss[lowest];
  if (!(fall > 0 && fall >= kLeastFall * std::abs(first))) {
    found.rises = loss.back() - first >= kLeastFall * std::abs(first) && loss.back() > first;
    return found;
  }
  found.lowest = band.values[lowest];

  size_t slow = 0;
  while (loss[slow] > loss[lowest] + kPart * fall) ++slow;
  found.slows = band.values[slow];

  size_t start = lowest;
  while (start > 0 && loss[start - 1] <= first - kPart * fall) --start;
  found.starts = band.values[start];

  // A step is as long everywhere on the sweep's own axis, so differences over so many steps are slopes.
  const size_t reach = std::max<size_t>(1, loss.size() / 40);
  size_t steepest = 0;
  double most = -kInfinity;
  for (size_t i = 0; i <= lowest; ++i) {
    const size_t from = i >= reach ? i - reach : 0, to = std::min(i + reach, loss.size() - 1);
    const double slope = (loss[from] - loss[to]) / static_cast<double>(to - from);
    if (slope > most) most = slope, steepest = i;
  }
  found.steepest = band.values[steepest];

  size_t end = loss.size();
  while (loss[end - 1] > loss[lowest] + kPart * fall) --end;
  if (end < loss.size()) found.ragged = band.values[end];
  return found;
}

LrRange suggest_lr_range(const RangeFindings& found, LrCeiling ceiling) {
  const double last = last_good(found);
  const double max_lr = ceiling == LrCeiling::slows ? *found.slows : last;
  return {.base_lr = std::min(*found.starts, max_lr / 10), .max_lr = max_lr};
}

MomentumRange suggest_momentum_range(const RangeFindings& found) {
  const double max_momentum = std::min(last_good(found), 0.95);
  return {.base_momentum = std::max(max_momentum - 0.1, 0.0), .max_momentum = max_momentum};
}

double suggest_weight_decay(const RangeFindings& found) { return last_good(found) / 10; }

}  // namespace galvan
