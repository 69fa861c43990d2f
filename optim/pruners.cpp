#include "optim/pruners.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/check.h"

namespace galvan {
namespace {

class NonePruner : public Pruner {
 public:
  Verdict judge(const Trial& trial, std::span<const Trial>) const override { return {false, trial.rungs}; }
};

class MedianPruner : public Pruner {
 public:
  explicit MedianPruner(const PrunerOptions& options) : o_(options) {}

  Verdict judge(const Trial& trial, std::span<const Trial> others) const override {
    const int64_t step = trial.reports.back().step;
    int64_t finished = 0;
    std::vector<double> values;
    for (const Trial& other : others) {
      if (other.state != TrialState::finished) continue;
      ++finished;
      for (const TrialReport& report : other.reports)
        if (report.step == step && !std::isnan(report.value)) values.push_back(report.value);
    }
    if (finished == 0 || finished < o_.startup_trials || step < o_.warmup_steps) return {};
    double best = std::numeric_limits<double>::quiet_NaN();
    for (const TrialReport& report : trial.reports) best = std::fmin(best, report.value);
    if (std::isnan(best)) return {.prune = true};
    return {.prune = !values.empty() && best > median(values)};
  }

 private:
  static double median(std::vector<double>& values) {
    std::sort(values.begin(), values.end());
    const size_t n = values.size();
    return n % 2 == 1 ? values[n / 2] : values[n / 2 - 1] + 0.5 * (values[n / 2] - values[n / 2 - 1]);
  }
  PrunerOptions o_;
};

// Successive halving in one bracket, whose first rung lies at min_steps * reduction^first.
Verdict judge_by_halving(const PrunerOptions& o, int64_t first, const Trial& trial,
                         const std::vector<const Trial*>& others) {
  const auto rung_step = [&](int64_t rung) {
    return static_cast<double>(o.min_steps) *
           std::pow(static_cast<double>(o.reduction), static_cast<double>(first + rung));
  };
  const auto value_at_rung = [&](const Trial& t, int64_t rung) {
    for (const TrialReport& report : t.reports)
      if (static_cast<double>(report.step) >= rung_step(rung)) return report.value;
    return std::numeric_limits<double>::quiet_NaN();
  };
  const auto& [step, value] = trial.reports.back();
  int64_t rungs = trial.rungs;
  while (static_cast<double>(step) >= rung_step(rungs)) {
    if (std::isnan(value)) return {true, rungs};
    std::vector<double> competing = {value};
    for (const Trial* other : others)
      if (other->rungs > rungs) competing.push_back(value_at_rung(*other, rungs));
    std::sort(competing.begin(), competing.end());
    const size_t promoted = std::max<size_t>(1, competing.size() / static_cast<size_t>(o.reduction));
    ++rungs;
    if (value > competing[promoted - 1]) return {true, rungs};
  }
  return {false, rungs};
}

class AshaPruner : public Pruner {
 public:
  explicit AshaPruner(const PrunerOptions& options) : o_(options) {}

  Verdict judge(const Trial& trial, std::span<const Trial> others) const override {
    std::vector<const Trial*> all;
    for (const Trial& other : others) all.push_back(&other);
    return judge_by_halving(o_, 0, trial, all);
  }

 private:
  PrunerOptions o_;
};

// The checksum of zip files, bit by bit.
uint32_t crc32(const std::string& text) {
  uint32_t crc = 0xFFFFFFFFu;
  for (const char c : text) {
    crc ^= static_cast<unsigned char>(c);
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320u : 0u);
  }
  return ~crc;
}

class HyperbandPruner : public Pruner {
 public:
  explicit HyperbandPruner(const PrunerOptions& options) : o_(options) {
    int64_t brackets = 1;
    for (int64_t steps = o_.min_steps; steps <= o_.max_steps / o_.reduction; steps *= o_.reduction)
      ++brackets;
    for (int64_t first = 0; first < brackets; ++first) {
      const int64_t s = brackets - 1 - first;  // rungs after the first
      shares_.push_back(static_cast<int64_t>(std::ceil(
          static_cast<double>(brackets) *
          std::pow(static_cast<double>(o_.reduction), static_cast<double>(s)) / static_cast<double>(s + 1))));
    }
  }

  Verdict judge(const Trial& trial, std::span<const Trial> others) const override {
    const int64_t mine = bracket(trial.number);
    std::vector<const Trial*> same;
    for (const Trial& other : others)
      if (bracket(other.number) == mine) same.push_back(&other);
    return judge_by_halving(o_, mine, trial, same);
  }

 private:
  // As many of all trials as the bracket would begin with.
  int64_t bracket(int64_t number) const {
    int64_t all = 0;
    for (const int64_t share : shares_) all += share;
    int64_t n = crc32(o_.name + "_" + std::to_string(number)) % all;
    size_t i = 0;
    for (; n >= shares_[i]; ++i) n -= shares_[i];
    return static_cast<int64_t>(i);
  }

  PrunerOptions o_;
  std::vector<int64_t> shares_;
};

}  // namespace

std::unique_ptr<Pruner> make_pruner(const PrunerOptions& o) {
  const bool halves = o.kind == PrunerKind::asha || o.kind == PrunerKind::hyperband;
  check(!halves || o.min_steps >= 1, "pruner: min_steps ", o.min_steps, " is not above 0");
  check(!halves || o.reduction >= 2, "pruner: reduction ", o.reduction, " is less than 2");
  check(o.kind != PrunerKind::hyperband || o.max_steps >= o.min_steps, "pruner: max_steps ", o.max_steps,
        " is less than min_steps ", o.min_steps);
  check(o.startup_trials >= 0 && o.warmup_steps >= 0, "pruner: startup_trials ", o.startup_trials,
        " or warmup_steps ", o.warmup_steps, " is negative");
  switch (o.kind) {
    case PrunerKind::none:
      return std::make_unique<NonePruner>();
    case PrunerKind::median:
      return std::make_unique<MedianPruner>(o);
    case PrunerKind::asha:
      return std::make_unique<AshaPruner>(o);
    case PrunerKind::hyperband:
      return std::make_unique<HyperbandPruner>(o);
  }
  fail("make_pruner: no such kind");
}

}  // namespace galvan
