// What `galvan find-lr` shows of a range test: a chart, words, and JSON.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "apps/charts/charts.h"
#include "optim/range_test.h"

namespace galvan {

// A test of one hyperparameter with several seeds.
struct RangeTest {
  std::string name;  // "learning rate"
  RangeTestOptions options;
  std::vector<int64_t> seeds = {};
  std::vector<RangeCurve> curves = {};  // one a seed
  RangeBand band = {};
  RangeFindings found = {};
};

// What was found, by name, in the order of the curve.
std::vector<std::pair<const char*, std::optional<double>>> listed(const RangeFindings& found);

// The median of the smoothed losses, the band of the seeds, and marks where something was found.
charts::Chart chart_of(const RangeTest& test);

// "learning starts  0.0123", a line a finding.
std::string findings_text(const RangeTest& test);

// Everything; a loss that is not finite is null.
nlohmann::ordered_json to_json(const RangeTest& test);

// What to_json wrote, without the curves. Throws the library's exception when it is something else.
RangeTest range_test_of(const nlohmann::ordered_json& json);

}  // namespace galvan
