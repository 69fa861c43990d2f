// Pruners: the decisions of Optuna's, and their options.
#include "optim/pruners.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/check.h"
#include "tests/core/golden.h"

using namespace galvan;

namespace {

PrunerKind kind_of(const std::string& name) {
  if (name == "median") return PrunerKind::median;
  if (name == "asha") return PrunerKind::asha;
  if (name == "hyperband") return PrunerKind::hyperband;
  fail("no pruner ", name);
}

Trial with_reports(int64_t number, TrialState state, std::vector<TrialReport> reports, int64_t rungs = 0) {
  return {.number = number, .state = state, .reports = std::move(reports), .rungs = rungs};
}

}  // namespace

TEST_CASE("pruners decide as Optuna's") {
  const nlohmann::json cases = golden_file("search.json").at("pruners");
  REQUIRE(cases.size() == 6);
  for (const nlohmann::json& c : cases) {
    const std::string name = c.at("name");
    INFO(name);
    const PrunerOptions defaults;
    const auto pruner = make_pruner({.kind = kind_of(c.at("kind")),
                                     .min_steps = c.value("min_steps", defaults.min_steps),
                                     .max_steps = c.value("max_steps", defaults.max_steps),
                                     .reduction = c.value("reduction", defaults.reduction),
                                     .startup_trials = c.value("startup_trials", defaults.startup_trials),
                                     .warmup_steps = c.value("warmup_steps", defaults.warmup_steps),
                                     .name = name});
    std::map<int64_t, int64_t> last_step;
    for (const auto& event : c.at("events")) last_step[event[0]] = event[1];
    std::map<int64_t, Trial> trials;
    int64_t pruned = 0, kept = 0;
    for (const auto& event : c.at("events")) {
      const int64_t number = event[0], step = event[1];
      INFO("trial ", number, ", step ", step);
      Trial& trial = trials[number];
      trial.number = number;
      trial.reports.push_back(
          {step, event[2].is_null() ? std::numeric_limits<double>::quiet_NaN() : event[2].get<double>()});
      std::vector<Trial> others;
      for (const auto& [n, other] : trials)
        if (n != number) others.push_back(other);
      std::reverse(others.begin(), others.end());  // their order does not matter
      const Verdict verdict = pruner->judge(trial, others);
      REQUIRE(verdict.prune == event[3].get<bool>());
      trial.rungs = verdict.rungs;
      (verdict.prune ? pruned : kept) += 1;
      if (verdict.prune)
        trial.state = TrialState::pruned;
      else if (step == last_step[number])
        trial.state = std::isnan(trial.reports.back().value) ? TrialState::failed : TrialState::finished;
    }
    CHECK(pruned >= 10);
    CHECK(kept >= 5);
  }
}

TEST_CASE("no pruner stops nothing") {
  const auto pruner = make_pruner({.kind = PrunerKind::none});
  const Trial worst = with_reports(1, TrialState::running, {{100, 1e9}}, 3);
  const std::vector<Trial> others = {with_reports(0, TrialState::finished, {{100, 1.0}})};
  const Verdict verdict = pruner->judge(worst, others);
  CHECK(!verdict.prune);
  CHECK(verdict.rungs == 3);
}

TEST_CASE("successive halving by hand") {
  const auto pruner = make_pruner({.kind = PrunerKind::asha, .min_steps = 10, .reduction = 2});
  const std::vector<Trial> others = {with_reports(0, TrialState::finished, {{10, 3.0}, {20, 2.0}}, 2),
                                     with_reports(1, TrialState::pruned, {{10, 4.0}}, 1),
                                     with_reports(2, TrialState::running, {{10, 1.0}}, 1)};
  const auto judge = [&](int64_t step, double value, int64_t rungs) {
    return pruner->judge(with_reports(3, TrialState::running, {{step, value}}, rungs), others);
  };
  CHECK(judge(9, 99.0, 0).rungs == 0);  // before the first rung
  CHECK(!judge(9, 99.0, 0).prune);
  CHECK(!judge(10, 3.0, 0).prune);  // 1, 3, 3, 4: the best two go on, and one that is as good
  CHECK(judge(10, 3.5, 0).prune);
  CHECK(judge(10, 3.5, 0).rungs == 1);  // and counts for those that come after it
  CHECK(!judge(19, 99.0, 1).prune);     // between two rungs
  CHECK(judge(20, 2.5, 1).prune);       // one of two
  CHECK(!judge(20, 1.5, 1).prune);
  CHECK(judge(20, 1.5, 1).rungs == 2);
}

TEST_CASE("options of no pruner") {
  CHECK_THROWS_WITH_AS(make_pruner({.kind = PrunerKind::asha, .reduction = 1}),
                       "pruner: reduction 1 is less than 2", Error);
  CHECK_THROWS_WITH_AS(make_pruner({.kind = PrunerKind::asha, .min_steps = 0}),
                       "pruner: min_steps 0 is not above 0", Error);
  CHECK_THROWS_WITH_AS(make_pruner({.kind = PrunerKind::hyperband, .min_steps = 10, .max_steps = 9}),
                       "pruner: max_steps 9 is less than min_steps 10", Error);
  CHECK_THROWS_WITH_AS(make_pruner({.kind = PrunerKind::median, .startup_trials = -1}),
                       "pruner: startup_trials -1 or warmup_steps 0 is negative", Error);
}
