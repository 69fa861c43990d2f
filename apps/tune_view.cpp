#include "apps/tune_view.h"

#include <algorithm>
#include <cstdio>
#include <map>

#include "apps/terminal.h"
#include "apps/text_format.h"
#include "core/check.h"

namespace galvan {
namespace {

constexpr size_t kEndedRows = 6;

std::string row(const std::string& number, const std::string& state, const std::string& step,
                const std::string& loss, const std::string& value, const std::string& rest) {
  char text[128];
  std::snprintf(text, sizeof text, "%5s  %-8s  %11s  %8s  %8s  ", number.c_str(), state.c_str(), step.c_str(),
                loss.c_str(), value.c_str());
  return text + rest;
}

// What is left, by what the budget says and how long trials took so far.
std::string time_left(const Study& study, const std::vector<StudyTrial>& trials,
                      const std::vector<RunningTrial>& running, double minutes) {
  double ended = 0, ended_steps = 0;
  for (const StudyTrial& trial : trials) {
    if (trial.state == TrialState::running) continue;
    ++ended;
    ended_steps += static_cast<double>(trial.steps);
  }
  double running_steps = 0, running_left = 0;
  for (const RunningTrial& trial : running) {
    running_steps += static_cast<double>(trial.step);
    running_left += static_cast<double>(trial.steps - trial.step);
  }
  const double steps_done = ended_steps + running_steps;
  if (steps_done == 0 || minutes == 0) return "";
  const double seconds_a_step = 60 * minutes / steps_done;
  const double mean_steps = ended > 0 ? ended_steps / ended : static_cast<double>(study.trial_steps);
  double left = -1;
  const auto at_most = [&](double seconds) { left = left < 0 ? seconds : std::min(left, seconds); };
  const double trials_to_come =
      study.trials ? static_cast<double>(*study.trials - static_cast<int64_t>(trials.size())) : 0;
  if (study.trials) at_most(std::max(0.0, (trials_to_come * mean_steps + running_left) * seconds_a_step));
  if (study.steps) at_most(std::max(0.0, (static_cast<double>(*study.steps) - steps_done) * seconds_a_step));
  if (study.minutes) at_most(std::max(0.0, 60 * (*study.minutes - minutes)));
  return left < 0 ? "" : "about " + duration(left) + " left";
}

}  // namespace

std::string parameters_text(const Point& point) {
  std::string text;
  for (const auto& [name, value] : point) {
    const double* real = std::get_if<double>(&value);
    text += (text.empty() ? "" : " ") + name + "=" + (real ? printed("%.4g", *real) : to_text(value));
  }
  return text;
}

std::string value_text(double value, StudyMetric metric) {
  return metric == StudyMetric::time_to_loss ? printed(value < 10 ? "%.3f s" : "%.1f s", value)
                                             : printed("%.4f", value);
}

std::vector<std::string> tune_table(const Study& study, const std::vector<StudyTrial>& trials,
                                    const std::vector<RunningTrial>& running, double minutes, int columns) {
  std::map<TrialState, int> count;
  for (const StudyTrial& trial : trials) ++count[trial.state];
  double rate = 0;
  for (const RunningTrial& trial : running) rate += trial.tokens_per_second;
  std::string head = concat("trials ", trials.size());
  if (study.trials) head += concat("/", *study.trials);
  for (const TrialState state : {TrialState::running, TrialState::finished, TrialState::pruned,
                                 TrialState::diverged, TrialState::failed})
    if (count[state] > 0) head += concat("  ", count[state], " ", name(state));
  if (rate > 0) head += "  " + with_commas(static_cast<int64_t>(rate)) + " tokens/s";
  const std::string left = time_left(study, trials, running, minutes);
  if (!left.empty()) head += "  " + left;

  std::vector<std::string> lines = {head};
  if (const StudyTrial* best = best_trial(trials, study.metric))
    lines.push_back(concat("best   trial ", best->number, ", ", name(study.metric), " ",
                           value_text(*best->value, study.metric), "  ", parameters_text(best->point)));
  lines.push_back(row("trial", "state", "step", "loss", "best", "parameters"));
  std::vector<const StudyTrial*> shown;
  for (const StudyTrial& trial : trials)
    if (trial.state != TrialState::running) shown.push_back(&trial);
  if (shown.size() > kEndedRows) shown.erase(shown.begin(), shown.end() - kEndedRows);
  for (const StudyTrial& trial : trials)
    if (trial.state == TrialState::running) shown.push_back(&trial);
  for (const StudyTrial* trial : shown) {
    const auto here = std::find_if(running.begin(), running.end(),
                                   [&](const RunningTrial& r) { return r.number == trial->number; });
    std::string step = std::to_string(trial->steps), loss;
    std::string state = name(trial->state);
    if (here != running.end()) {
      step = concat(here->step, "/", here->steps);
      loss = printed("%.4f", here->loss);
    } else if (trial->state == TrialState::running) {
      step = "";
      state = trial->worked_on ? "elsewhere" : "waiting";
    }
    const auto value =
        trial->state == TrialState::running ? value_of_reports(trial->reports, study) : trial->value;
    lines.push_back(row(std::to_string(trial->number), state, step, loss,
                        value ? value_text(*value, study.metric) : "",
                        trial->reason.empty() ? parameters_text(trial->point) : trial->reason));
  }
  for (std::string& line : lines)
    if (line.size() > static_cast<size_t>(columns)) line.resize(static_cast<size_t>(columns));
  return lines;
}

TuneView::TuneView(const Study& study) : study_(study), terminal_(stdout_can_redraw()) {}

void TuneView::clear() {
  if (rows_ > 0) std::printf("\x1b[%dF\x1b[J", rows_);
  rows_ = 0;
}

void TuneView::print(const std::string& line) {
  if (terminal_) return;
  std::printf("%s\n", line.c_str());
  std::fflush(stdout);
}

void TuneView::update(const std::vector<StudyTrial>& trials, const std::vector<RunningTrial>& running,
                      double minutes) {
  if (!terminal_) return;
  const auto lines = tune_table(study_, trials, running, minutes, terminal_columns() - 1);
  clear();
  for (const std::string& line : lines) std::printf("%s\n", line.c_str());
  rows_ = static_cast<int>(lines.size());
  std::fflush(stdout);
}

}  // namespace galvan
