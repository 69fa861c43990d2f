#include "apps/report/range_data.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "apps/toml_file.h"
#include "apps/train_settings.h"
#include "core/check.h"
#include "models/files.h"

namespace galvan::report {
namespace {

namespace fs = std::filesystem;

ScheduleCurve read_schedule(const fs::path& config) {
  Settings settings;
  TrainSettings train;
  add_run_options(settings, train);
  settings.apply_file(config);
  const Schedule schedule = make_schedule(train.schedule, train.steps);
  ScheduleCurve curve;
  constexpr int64_t kMost = 4000;
  const int64_t stride = std::max<int64_t>(1, train.steps / kMost);
  for (int64_t k = 0; k < train.steps; k += stride) {
    const ScheduleValue value = schedule.at(k);
    curve.step.push_back(static_cast<double>(k + 1));
    curve.lr.push_back(value.lr);
    if (value.momentum) curve.momentum.push_back(*value.momentum);
  }
  return curve;
}

}  // namespace

bool holds_range_tests(const fs::path& folder) {
  std::error_code ignored;
  return fs::exists(folder / "find-lr.json", ignored);
}

RangeFolder read_range_tests(const fs::path& folder) {
  const fs::path file = folder / "find-lr.json", config = folder / "cyclic.toml";
  const fs::path tidy = fs::absolute(folder).lexically_normal();
  RangeFolder read;
  read.run.name = (tidy.has_filename() ? tidy : tidy.parent_path()).filename().string();
  try {
    const auto json = nlohmann::ordered_json::parse(read_text_file(file));
    for (const auto& test : json.at("tests")) read.tests.push_back(range_test_of(test));
  } catch (const nlohmann::json::exception& error) {
    throw Error(concat(file.string(), " is damaged: ", error.what()));
  }
  read.run.sessions = read_sessions(folder);
  std::error_code ignored;
  if (fs::exists(config, ignored)) {
    read.run.options = read_toml(config);
    read.schedule = read_schedule(config);
  }
  return read;
}

}  // namespace galvan::report
