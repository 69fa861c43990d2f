// The report of a study: which trials were made, what came of them, and what that says about the parameters.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "optim/samplers.h"

namespace galvan::report {

struct StudyParameter {
  std::string name = {};
  bool logarithmic = false;
  std::vector<std::string> choices = {};  // of a choice; empty: a number
};

struct TrialData {
  int64_t number = 0;
  TrialState state = TrialState::running;
  // One a parameter: the number, or which of the choices; none where the trial has no such parameter.
  std::vector<std::optional<double>> parameters = {};
  std::optional<double> value = {};             // of the metric, the last or the final one
  std::vector<double> steps = {}, values = {};  // the metric as the trial went on
  std::string reason = {};                      // why it diverged or failed
};

struct StudyData {
  std::string name = {};
  std::string metric = {};
  std::string curve_metric = {};  // what `values` of the trials are, where they are something else
  bool less_is_better = true;
  std::vector<StudyParameter> parameters = {};
  std::vector<TrialData> trials = {};  // in the order of their numbers
  std::vector<std::pair<std::string, std::string>> facts =
      {};                         // more to say: sampler, pruner, budget, machine
  std::string best_command = {};  // that trains the best one again
};

std::string study_page(const StudyData& study);

}  // namespace galvan::report
