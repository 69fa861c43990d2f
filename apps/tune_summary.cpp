#include "apps/tune_summary.h"

#include <algorithm>
#include <cstdio>
#include <map>

#include "apps/text_format.h"
#include "apps/tune_view.h"
#include "optim/importance.h"

namespace galvan {
namespace {

constexpr size_t kBestRows = 10, kLeastTrials = 8;

// The trials that have a value and all of these parameters, as points of the unit cube.
struct Sample {
  std::vector<std::vector<double>> points;
  std::vector<double> values;
};

Sample sample_of(const std::vector<const Parameter*>& parameters, const std::vector<StudyTrial>& trials) {
  Sample sample;
  for (const StudyTrial& trial : trials) {
    if ((trial.state != TrialState::finished && trial.state != TrialState::pruned) || !trial.value) continue;
    std::vector<double> point;
    for (const Parameter* p : parameters)
      if (const auto found = trial.point.find(p->name); found != trial.point.end())
        point.push_back(SearchSpace::position(p->range, found->second));
    if (point.size() < parameters.size()) continue;
    sample.points.push_back(std::move(point));
    sample.values.push_back(*trial.value);
  }
  return sample;
}

std::string counts(const std::vector<StudyTrial>& trials) {
  std::map<TrialState, int> count;
  int64_t steps = 0;
  double seconds = 0;
  for (const StudyTrial& trial : trials) {
    ++count[trial.state];
    steps += trial.steps;
    seconds += trial.seconds;
  }
  std::string text = concat(trials.size(), " trials");
  for (const auto& [state, n] : count) text += concat(", ", n, " ", name(state));
  return text + "; " + with_commas(steps) + " steps, " + duration(seconds) + " of training\n";
}

}  // namespace

std::vector<ParameterImportance> parameter_importance(const Study& study,
                                                      const std::vector<StudyTrial>& trials) {
  std::vector<const Parameter*> always;
  for (const Parameter& p : study.space.parameters())
    if (!p.when) always.push_back(&p);
  std::vector<ParameterImportance> found;
  const auto add = [&](const std::vector<const Parameter*>& parameters, size_t first) {
    const Sample sample = sample_of(parameters, trials);
    if (sample.points.size() < kLeastTrials) return;
    const std::vector<double> shares = importance(sample.points, sample.values);
    for (size_t i = first; i < parameters.size(); ++i)
      found.push_back({parameters[i]->name, shares[i], parameters[i]->when.has_value()});
  };
  add(always, 0);
  // What is not always there is looked at in a forest of its own, of the trials that have it.
  for (const Parameter& p : study.space.parameters()) {
    if (!p.when) continue;
    std::vector<const Parameter*> with = always;
    with.push_back(&p);
    add(with, always.size());
  }
  std::stable_sort(found.begin(), found.end(),
                   [](const auto& a, const auto& b) { return a.share > b.share; });
  return found;
}

std::string tune_summary(const Study& study, const std::vector<StudyTrial>& trials,
                         const std::filesystem::path& folder, const std::string& program) {
  std::string text = counts(trials);
  std::vector<const StudyTrial*> order;
  for (const StudyTrial& trial : trials)
    if (trial.state == TrialState::finished && trial.value) order.push_back(&trial);
  std::stable_sort(order.begin(), order.end(), [&](const StudyTrial* a, const StudyTrial* b) {
    return is_better(*a->value, *b->value, study.metric);
  });
  const std::map<std::string, int> reasons = [&] {
    std::map<std::string, int> all;
    for (const StudyTrial& trial : trials)
      if (!trial.reason.empty()) ++all[trial.reason];
    return all;
  }();
  for (const auto& [reason, count] : reasons) text += concat("  ", count, " x ", reason, "\n");
  if (order.empty()) return text + "No trial has finished with a value.\n";

  text += concat("\nBest by ", name(study.metric), "\n");
  for (size_t i = 0; i < std::min(order.size(), kBestRows); ++i) {
    char head[64];
    std::snprintf(head, sizeof head, "  %10s  trial %-4lld ",
                  value_text(*order[i]->value, study.metric).c_str(),
                  static_cast<long long>(order[i]->number));
    text += head + parameters_text(order[i]->point) + "\n";
  }

  const auto shares = parameter_importance(study, trials);
  if (shares.empty()) {
    text += concat("\nImportance: needs ", kLeastTrials, " trials with a value\n");
  } else {
    text += "\nImportance: the part of the variance that each explains alone (fANOVA)\n";
    for (const auto& [parameter, share, among_some] : shares) {
      char line[96];
      std::snprintf(line, sizeof line, "  %5.1f %%  ", 100 * share);
      text += line + parameter + (among_some ? ", among the trials that have it" : "") + "\n";
    }
  }
  const std::string config = (folder / "trials" / std::to_string(order[0]->number) / "config.toml").string();
  return text + "\nTrain the best again, bit for bit, or with --seed N anew:\n  " + program +
         " train --config " + shell_quoted(config) + " --out runs/best\n";
}

}  // namespace galvan
