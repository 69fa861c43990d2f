// A run and a study to make reports of, with names that would break a page that took them as they are.
#pragma once

#include <cmath>
#include <limits>
#include <string>

#include "apps/report/range_data.h"
#include "apps/report/run_data.h"
#include "apps/report/study_page.h"

namespace galvan::report {

inline const std::string kNasty = "</script><script>alert(1)</script>&\"'<!-- \xFF";

// A run of cycles of 100 steps, 50 of them up.
inline RunMetrics example_metrics(int64_t steps) {
  RunMetrics m;
  for (int64_t i = 1; i <= steps; ++i) {
    const auto step = static_cast<double>(i);
    m.step.push_back(step);
    m.loss.push_back(4 / std::sqrt(step) + (i == 7777 ? 50 : 0));
    m.lr.push_back(0.001 + 0.1 * (1 - std::abs(static_cast<double>((i - 1) % 100) / 50 - 1)));
    m.momentum.push_back(0.9);
    m.grad_norm.push_back(1 + 0.5 * std::sin(step));
    m.tokens.push_back(768);
    m.seconds.push_back(0.01);
    if (i % 50 != 0) continue;
    m.eval_step.push_back(step);
    m.eval_loss.push_back(4 / std::sqrt(step) + 0.1);
    m.eval_accuracy.push_back(0.5);
    m.eval_perplexity.push_back(10);
    m.eval_bits_per_character.push_back(2);
    m.norm_step.push_back(step);
    if (m.norms.empty()) m.norms = {{"embedding", {}}, {kNasty, {}}};
    for (auto& [layer, norms] : m.norms) norms.push_back(0.5 / std::sqrt(step));
  }
  return m;
}

inline StudyData example_study() {
  StudyData s{.name = kNasty,
              .metric = "validation loss",
              .parameters = {{.name = "lr", .logarithmic = true},
                             {.name = kNasty, .choices = {"sgd", kNasty}},
                             {.name = "momentum"}}};
  for (int64_t i = 0; i < 20; ++i) {
    const double lr = std::pow(10, -4 + 0.2 * static_cast<double>(i));
    TrialData trial{.number = i,
                    .state = i == 3       ? TrialState::failed
                             : i % 4 == 1 ? TrialState::pruned
                                          : TrialState::finished,
                    .parameters = {lr, static_cast<double>(i % 2), {}},
                    .value = 2 + std::abs(std::log10(lr) + 2)};
    if (i % 2 == 0) trial.parameters[2] = 0.5 + 0.02 * static_cast<double>(i);
    if (i == 3) trial.value.reset(), trial.reason = "out of memory " + kNasty;
    for (int k = 1; k <= 5; ++k) trial.steps.push_back(10 * k), trial.values.push_back(5 - 0.1 * k);
    s.trials.push_back(std::move(trial));
  }
  return s;
}

inline Run example_run(int64_t steps) {
  return {.name = kNasty,
          .metrics = example_metrics(steps),
          .options = {{"data", kNasty}, {"steps", steps}, {"clip", 1.0}},
          .samples = {{50, kNasty + "\nsecond line"}},
          .sessions = {{.step = 0, .facts = {{"command", kNasty}, {"processor", kNasty}}}}};
}

// Tests of two hyperparameters with two seeds, the second of which runs away in the first.
inline RangeFolder example_range_tests() {
  RangeFolder found{.schedule = ScheduleCurve{.step = {1, 2, 3, 4}, .lr = {0.1, 0.5, 0.1, 0.5}},
                    .run = {.name = kNasty,
                            .options = {{"max-lr", 0.5},
                                        {"base-lr", 0.1},
                                        {"steps", int64_t{4}},
                                        {"cycles", int64_t{2}},
                                        {"data", kNasty}},
                            .sessions = {{.step = 0, .facts = {{"command", kNasty}}}}}};
  for (const char* name : {"learning rate", kNasty.c_str()}) {
    RangeTest test{.name = name, .options = {.low = 1e-4, .high = 10}, .seeds = {1, 2}};
    for (int i = 0; i <= 50; ++i) {
      const double x = 0.1 * i, loss = x < 3 ? 4 - 0.7 * x : 1.9 + 4 * (x - 3);
      test.band.values.push_back(1e-4 * std::pow(10, x));
      test.band.median.push_back(loss);
      test.band.lowest.push_back(loss - 0.1);
      test.band.highest.push_back(i < 45 ? loss + 0.1 : std::numeric_limits<double>::infinity());
    }
    test.found = analyse(test.band);
    found.tests.push_back(std::move(test));
  }
  return found;
}

}  // namespace galvan::report
