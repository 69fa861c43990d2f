// Pruners: should a trial stop early, by what it and others have reported so far? Less is better. A pruner is a pure
// function of its options and the trials' records, so a search that was cut off goes on from their list.
//
//   const auto pruner = make_pruner({.kind = PrunerKind::asha, .min_steps = 50, .reduction = 4});
//   trial.reports.push_back({.step = 50, .value = loss});
//   const Verdict verdict = pruner->judge(trial, others);
//   trial.rungs = verdict.rungs;
//   if (verdict.prune) ...
//
// | kind      | a trial stops when |
// |-----------|--------------------|
// | none      | never |
// | median    | its best value so far is worse than the median of what the finished trials reported at this step |
// | asha      | at a rung, min_steps * reduction^i steps, it is not among the best 1/reduction of those that came there |
// |           | before it (Li et al., "A system for massively parallel hyperparameter tuning", MLSys 2020, algorithm 2, |
// |           | in the form that decides at once and never takes a stopped trial up again) |
// | hyperband | the same, the trials being dealt out to brackets whose first rungs lie at different i (Li et al., |
// |           | "Hyperband", JMLR 18, 2018) |
//
// The decisions are those of Optuna's MedianPruner, SuccessiveHalvingPruner and HyperbandPruner.
#pragma once

#include <memory>
#include <span>
#include <string>

#include "optim/samplers.h"

namespace galvan {

enum class PrunerKind { none, median, asha, hyperband };

struct PrunerOptions {
  PrunerKind kind = PrunerKind::none;
  int64_t min_steps = 1;       // asha, hyperband: before the first rung
  int64_t max_steps = 0;       // hyperband: of a whole trial
  int64_t reduction = 4;       // asha, hyperband: of so many trials one goes on
  int64_t startup_trials = 5;  // median: finished ones before any is stopped
  int64_t warmup_steps = 0;    // median: of a trial before it is stopped
  std::string name = {};       // hyperband: of the search, by which trials are dealt out to brackets
};

struct Verdict {
  bool prune = false;
  int64_t rungs = 0;  // that the trial has now been judged at
};

class Pruner {
 public:
  virtual ~Pruner() = default;
  // After each report of `trial`, on the last one. `others`: all other trials, running ones too, in any order.
  virtual Verdict judge(const Trial& trial, std::span<const Trial> others) const = 0;
};

// Throws where the options are not those of a pruner: a reduction below 2, max_steps below min_steps, ...
std::unique_ptr<Pruner> make_pruner(const PrunerOptions& options);

}  // namespace galvan
