// What a study found, as a text.
#pragma once

#include <string>
#include <vector>

#include "apps/study_store.h"

namespace galvan {

struct ParameterImportance {
  std::string name;
  double share = 0;         // of the variance of the metric
  bool among_some = false;  // of the trials that have it, which not all do
};

// Of every parameter, the most important first; nothing where there are too few trials to say. Of the trials that
// finished or were pruned, by their values.
std::vector<ParameterImportance> parameter_importance(const Study& study,
                                                      const std::vector<StudyTrial>& trials);

// Trials by how they ended, the best ten, the importance of each parameter, and the command that trains the best again.
std::string tune_summary(const Study& study, const std::vector<StudyTrial>& trials,
                         const std::filesystem::path& folder, const std::string& program);

}  // namespace galvan
