// What a run's folder tells of it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "apps/cycle_losses.h"
#include "apps/run_metrics.h"
#include "apps/sessions.h"
#include "apps/settings.h"

namespace galvan::report {

struct Sample {
  int64_t step = 0;
  std::string text;
};

struct Run {
  std::string name = {};  // told apart from the other runs of the report
  RunMetrics metrics = {};
  std::vector<std::pair<std::string, SettingValue>> options = {};  // of config.toml, by name
  std::vector<Sample> samples = {};
  std::vector<Session> sessions = {};
  std::optional<CycleLosses> cycles = {};  // of cycles.json

  std::optional<SettingValue> option(const std::string& name) const;
};

// Throws when a folder holds no run, or none that has taken a step.
std::vector<Run> read_runs(const std::vector<std::filesystem::path>& folders);

// The updates after which a cycle of the learning rate ends, as the curve shows it, whatever schedules the run has had: the
// next is the one where it is lowest between two rises of a twentieth of its whole range or more.
std::vector<double> visible_cycle_ends(const std::vector<double>& step, const std::vector<double>& lr);

}  // namespace galvan::report
