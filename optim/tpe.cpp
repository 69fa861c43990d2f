#include "optim/tpe.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "core/check.h"

namespace galvan {
namespace {

constexpr size_t kFullWeight = 25;  // trials, the latest, that count in full
constexpr double kInfinity = std::numeric_limits<double>::infinity();

// The normal distribution's function between a and b, without loss in the upper tail.
double normal_mass(double a, double b) {
  if (a > 0) return 0.5 * (std::erfc(a * M_SQRT1_2) - std::erfc(b * M_SQRT1_2));
  return 0.5 * (std::erfc(-b * M_SQRT1_2) - std::erfc(-a * M_SQRT1_2));
}

// x with normal_mass(a, x) = u * normal_mass(a, b), by bisection: a search takes a few dozen of them.
double truncated_normal(double a, double b, double u) {
  const double mass = normal_mass(a, b);
  double low = a, high = b;
  for (int i = 0; i < 200 && low < high; ++i) {
    const double middle = 0.5 * (low + high);
    if (middle <= low || middle >= high) break;
    (normal_mass(a, middle) < u * mass ? low : high) = middle;
  }
  return low;
}

std::vector<double> kernel_weights(size_t values) {
  std::vector<double> weights(values, 1.0);
  if (values > kFullWeight) {
    const size_t ramp = values - kFullWeight;
    const double first = 1.0 / static_cast<double>(values);
    for (size_t i = 0; i < ramp; ++i)
      weights[i] =
          ramp == 1 ? first : first + (1 - first) * static_cast<double>(i) / static_cast<double>(ramp - 1);
  }
  weights.push_back(1.0);  // the prior
  const double sum = std::accumulate(weights.begin(), weights.end(), 0.0);
  for (double& weight : weights) weight /= sum;
  return weights;
}

}  // namespace

double ParzenEstimator::inner(const ParameterValue& value) const {
  if (const auto* whole = std::get_if<int64_t>(&value)) return static_cast<double>(*whole);
  const double x = std::get<double>(value);
  return std::holds_alternative<LogUniform>(range_) ? std::log(x) : x;
}

ParzenEstimator::ParzenEstimator(const ParameterRange& range, const std::vector<ParameterValue>& values)
    : range_(range), weights_(kernel_weights(values.size())) {
  const size_t n = values.size();
  if (const auto* choice = std::get_if<Choice>(&range)) {
    const size_t choices = choice->values.size(), kernels = n + 1;
    shares_.assign(kernels, std::vector<double>(choices, 1.0 / static_cast<double>(kernels)));
    for (size_t k = 0; k < n; ++k) {
      const auto found = std::find(choice->values.begin(), choice->values.end(), values[k]);
      check(found != choice->values.end(), "tpe: ", to_text(values[k]), " is none of the choices");
      shares_[k][static_cast<size_t>(found - choice->values.begin())] += 1;
    }
    for (auto& row : shares_) {
      const double sum = std::accumulate(row.begin(), row.end(), 0.0);
      for (double& share : row) share /= sum;
    }
    return;
  }
  if (const auto* whole = std::get_if<IntRange>(&range)) {
    half_step_ = 0.5 * static_cast<double>(whole->step);
    low_ = static_cast<double>(whole->low) - half_step_;
    high_ = static_cast<double>(whole->low + (*count_values(range) - 1) * whole->step) + half_step_;
  } else if (const auto* uniform = std::get_if<Uniform>(&range)) {
    low_ = uniform->low, high_ = uniform->high;
  } else {
    low_ = std::log(std::get<LogUniform>(range).low), high_ = std::log(std::get<LogUniform>(range).high);
  }
  for (const ParameterValue& value : values) means_.push_back(inner(value));

  // A kernel is as wide as the way to its farther neighbour, within bounds. Towards the ends of the range there is none,
  // but for a single value. The prior covers the range.
  std::vector<size_t> order(n);
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return means_[a] < means_[b]; });
  const double width = high_ - low_;
  const double least = width / std::min(100.0, 2.0 + static_cast<double>(n));
  sigmas_.resize(n);
  for (size_t i = 0; i < n; ++i) {
    const double mean = means_[order[i]];
    const double left = i > 0 ? mean - means_[order[i - 1]] : n == 1 ? mean - low_ : 0;
    const double right = i + 1 < n ? means_[order[i + 1]] - mean : n == 1 ? high_ - mean : 0;
    sigmas_[order[i]] = std::clamp(std::max(left, right), least, width);
  }
  means_.push_back(0.5 * (low_ + high_));
  sigmas_.push_back(width);
  for (size_t k = 0; k <= n; ++k) {
    const double mass = normal_mass((low_ - means_[k]) / sigmas_[k], (high_ - means_[k]) / sigmas_[k]);
    const double density = half_step_ > 0 ? 1 : sigmas_[k] * std::sqrt(2 * M_PI);
    log_factors_.push_back(std::log(weights_[k] / (mass * density)));
  }
}

double ParzenEstimator::log_density(const ParameterValue& value) const {
  double density = 0;
  if (const auto* choice = std::get_if<Choice>(&range_)) {
    const auto c = static_cast<size_t>(std::find(choice->values.begin(), choice->values.end(), value) -
                                       choice->values.begin());
    for (size_t k = 0; k < weights_.size(); ++k) density += weights_[k] * shares_[k].at(c);
    return std::log(density);
  }
  // The largest term is taken out of the sum, which else might be 0 far from every kernel.
  const double x = inner(value);
  std::vector<double> logs;
  for (size_t k = 0; k < weights_.size(); ++k) {
    const double z = (x - means_[k]) / sigmas_[k], half = half_step_ / sigmas_[k];
    logs.push_back(log_factors_[k] + (half > 0 ? std::log(normal_mass(z - half, z + half)) : -0.5 * z * z));
  }
  const double top = *std::max_element(logs.begin(), logs.end());
  if (top == -kInfinity) return top;
  for (const double log : logs) density += std::exp(log - top);
  return top + std::log(density);
}

ParameterValue ParzenEstimator::sample(double which, double where) const {
  const auto pick = [](const std::vector<double>& weights, double u) {
    size_t i = 0;
    for (; i + 1 < weights.size() && u >= weights[i]; ++i) u -= weights[i];
    return i;
  };
  const size_t k = pick(weights_, which);
  if (const auto* choice = std::get_if<Choice>(&range_)) return choice->values[pick(shares_[k], where)];
  const double mean = means_[k], sigma = sigmas_[k];
  const double x = mean + sigma * truncated_normal((low_ - mean) / sigma, (high_ - mean) / sigma, where);
  if (const auto* whole = std::get_if<IntRange>(&range_)) {
    const auto i = static_cast<int64_t>((x - low_) / (2 * half_step_));
    return whole->low + std::clamp<int64_t>(i, 0, *count_values(range_) - 1) * whole->step;
  }
  if (const auto* uniform = std::get_if<Uniform>(&range_)) return std::clamp(x, uniform->low, uniform->high);
  const auto& log = std::get<LogUniform>(range_);
  return std::clamp(std::exp(x), log.low, log.high);
}

namespace {

// What trials are sorted by, best first: those that finished by value, those that were stopped by how far they came and
// their last value, those that diverged.
struct Rank {
  int group;
  double first, second;
  auto operator<=>(const Rank&) const = default;
};

Rank rank(const Trial& trial) {
  if (trial.state == TrialState::finished) return {0, trial.value, 0};
  if (trial.state == TrialState::diverged) return {2, 0, 0};
  if (trial.reports.empty()) return {1, kInfinity, 0};
  const TrialReport& last = trial.reports.back();
  return {1, -static_cast<double>(last.step), std::isnan(last.value) ? kInfinity : last.value};
}

class TpeSampler : public Sampler {
 public:
  TpeSampler(const SearchSpace& space, const TpeOptions& options) : space_(space), o_(options) {}

  std::optional<Point> suggest(int64_t number, std::span<const Trial> trials) const override {
    std::vector<const Trial*> ended;
    for (const Trial& trial : trials)
      if (trial.state != TrialState::running && trial.state != TrialState::failed) ended.push_back(&trial);
    std::sort(ended.begin(), ended.end(),
              [](const Trial* a, const Trial* b) { return a->number < b->number; });
    Point point;
    for (const Parameter& parameter : space_.parameters())
      if (space_.exists(parameter, point)) point[parameter.name] = draw(parameter, number, ended);
    return point;
  }

 private:
  ParameterValue draw(const Parameter& p, int64_t number, const std::vector<const Trial*>& ended) const {
    if (static_cast<int64_t>(ended.size()) < o_.startup)
      return value_at(p.range, sampler_uniform(o_.seed, p.name, number));
    std::vector<const Trial*> having;
    for (const Trial* trial : ended)
      if (trial->point.contains(p.name)) having.push_back(trial);
    std::vector<const Trial*> sorted = having;
    std::stable_sort(sorted.begin(), sorted.end(),
                     [](const Trial* a, const Trial* b) { return rank(*a) < rank(*b); });
    const size_t below = std::min<size_t>(25, (sorted.size() + 9) / 10);
    const std::vector<const Trial*> best(sorted.begin(), sorted.begin() + static_cast<std::ptrdiff_t>(below));
    std::vector<ParameterValue> good, rest;
    for (const Trial* trial : having) {
      const bool is_best = std::find(best.begin(), best.end(), trial) != best.end();
      (is_best ? good : rest).push_back(trial->point.at(p.name));
    }
    const ParzenEstimator l(p.range, good), g(p.range, rest);
    ParameterValue chosen;
    double highest = -kInfinity;
    for (int64_t i = 0; i < o_.candidates; ++i) {
      const ParameterValue value = l.sample(sampler_uniform(o_.seed, p.name, number, 1 + 2 * i),
                                            sampler_uniform(o_.seed, p.name, number, 2 + 2 * i));
      const double score = l.log_density(value) - g.log_density(value);
      if (i > 0 && !(score > highest)) continue;
      highest = score;
      chosen = value;
    }
    return chosen;
  }

  SearchSpace space_;
  TpeOptions o_;
};

}  // namespace

std::unique_ptr<Sampler> make_tpe_sampler(const SearchSpace& space, const TpeOptions& options) {
  return std::make_unique<TpeSampler>(space, options);
}

}  // namespace galvan
