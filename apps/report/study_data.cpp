#include "apps/report/study_data.h"

#include <algorithm>

#include "apps/study_store.h"
#include "apps/text_format.h"
#include "models/files.h"

namespace galvan::report {
namespace {

// A number as it is, a choice as its place in the list.
std::optional<double> place_of(const galvan::Parameter& parameter, const Point& point) {
  const auto found = point.find(parameter.name);
  if (found == point.end()) return {};
  if (const auto* choice = std::get_if<Choice>(&parameter.range)) {
    const auto at = std::find(choice->values.begin(), choice->values.end(), found->second);
    if (at == choice->values.end()) return {};  // of a study whose file was changed since
    return static_cast<double>(at - choice->values.begin());
  }
  if (const auto* whole = std::get_if<int64_t>(&found->second)) return static_cast<double>(*whole);
  return std::get<double>(found->second);
}

double metric_of(const StudyReport& report, StudyMetric metric) {
  return metric == StudyMetric::accuracy ? report.accuracy : report.loss;
}

}  // namespace

bool holds_study(const std::filesystem::path& folder) {
  std::error_code ignored;
  return std::filesystem::exists(folder / "study.db", ignored);
}

StudyData read_study(const std::filesystem::path& folder) {
  StudyStore store(folder, /*reading=*/true);
  const Study& study = store.study();
  StudyData data{.name = folder.lexically_normal().string(),
                 .metric = name(study.metric),
                 .curve_metric = study.metric == StudyMetric::time_to_loss ? "validation loss" : "",
                 .less_is_better = study.metric != StudyMetric::accuracy};
  for (const galvan::Parameter& parameter : study.space.parameters()) {
    StudyParameter described{.name = parameter.name,
                             .logarithmic = std::holds_alternative<LogUniform>(parameter.range)};
    if (const auto* choice = std::get_if<Choice>(&parameter.range))
      for (const ParameterValue& value : choice->values) described.choices.push_back(to_text(value));
    data.parameters.push_back(std::move(described));
  }
  const std::vector<StudyTrial> trials = store.trials();
  for (const StudyTrial& trial : trials) {
    TrialData described{
        .number = trial.number, .state = trial.state, .value = trial.value, .reason = trial.reason};
    for (const galvan::Parameter& parameter : study.space.parameters())
      described.parameters.push_back(place_of(parameter, trial.point));
    for (const StudyReport& report : trial.reports) {
      described.steps.push_back(static_cast<double>(report.step));
      described.values.push_back(metric_of(report, study.metric));
    }
    data.trials.push_back(std::move(described));
  }
  if (const StudyTrial* best = galvan::best_trial(trials, study.metric)) {
    const auto config = folder / "trials" / std::to_string(best->number) / "config.toml";
    data.best_command = "galvan train --config " + shell_quoted(config.string()) + " --out runs/best";
  }
  data.facts = {{"folder", std::filesystem::absolute(folder).lexically_normal().string()},
                {"time", duration(60 * store.minutes())},
                {"study.toml", read_text_file(folder / "study.toml")}};
  return data;
}

void write_study_report(const std::filesystem::path& folder) {
  write_file_atomically(folder / "report.html", study_page(read_study(folder)));
}

}  // namespace galvan::report
