// A study: which options of `galvan train` a search varies and how, what it looks for, and when it ends. In a file:
//
//   metric  = "validation-loss"            # or "accuracy", or "time-to-loss", in seconds of training, with target = 1.9
//   sampler = "random"                     # or grid, sobol, tpe (optim/samplers.h)
//   pruner  = { kind = "asha", min-steps = 50, reduction = 4 }      # or none, median, hyperband (optim/pruners.h)
//   seed    = 1                            # of the search
//
//   [budget]                               # what ends it first: no trial begins after that
//   trials  = 24
//   steps   = 20000                        # of all trials together
//   minutes = 15                           # in which a process worked on it
//
//   [fixed]                                # options of `galvan train`
//   data  = "input.txt"
//   steps = 800
//
//   [vary]
//   optimizer  = { choice = ["sgd", "adamw"] }
//   lr         = { log-uniform = [1e-4, 1.0], points = 5 }          # points: on a grid
//   momentum   = { uniform = [0.5, 0.99], points = 3, when = { optimizer = "sgd" } }
//   batch-size = { int = [8, 32], step = 8 }
//
// docs/tune.md tells it to people.
#pragma once

#include <filesystem>

#include "apps/settings.h"
#include "optim/pruners.h"
#include "optim/samplers.h"
#include "optim/search_space.h"

namespace galvan {

enum class StudyMetric { validation_loss, accuracy, time_to_loss };
const char* name(StudyMetric metric);

struct Study {
  StudyMetric metric = StudyMetric::validation_loss;
  double target = 0;  // of time_to_loss
  SamplerOptions sampler = {};
  PrunerOptions pruner = {};
  std::optional<int64_t> trials = {}, steps = {};
  std::optional<double> minutes = {};
  std::vector<std::pair<std::string, SettingValue>> fixed = {};
  SearchSpace space;
  int64_t trial_steps = 0;  // of a trial whose point says nothing else

  int64_t steps_of(const Point& point) const;
  // The options of a trial as a file for `galvan train --config`.
  std::string options(const Point& point) const;
};

// Throws "NAME:3: ..." with what is wrong in that line and what was expected.
Study parse_study(const std::string& text, const std::string& name);

}  // namespace galvan
