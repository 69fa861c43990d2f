// The folder of a `galvan find-lr` as its report has it.
#pragma once

#include <filesystem>
#include <optional>
#include <vector>

#include "apps/range_report.h"
#include "apps/report/run_data.h"

namespace galvan::report {

// A schedule at some of its steps: all of a run of up to 4,000.
struct ScheduleCurve {
  std::vector<double> step = {}, lr = {};
  std::vector<double> momentum = {};  // empty where the schedule leaves it alone
};

struct RangeFolder {
  std::vector<RangeTest> tests = {};  // what analyse() took and gave; the seeds' own curves are left out
  std::optional<ScheduleCurve> schedule = {};  // that was written, if learning was found
  Run run = {};  // its name, options and sessions; those of cyclic.toml and of the test's process
};

bool holds_range_tests(const std::filesystem::path& folder);

// Throws when a file is damaged.
RangeFolder read_range_tests(const std::filesystem::path& folder);

}  // namespace galvan::report
