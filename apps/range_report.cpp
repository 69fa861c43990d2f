#include "apps/range_report.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "apps/text_format.h"
#include "core/check.h"

namespace galvan {
namespace {

using Json = nlohmann::ordered_json;

Json or_null(std::optional<double> value) { return value ? Json(*value) : Json(); }

// A number that is not finite is written as null.
std::vector<double> numbers(const Json& list) {
  std::vector<double> values;
  for (const Json& value : list)
    values.push_back(value.is_null() ? std::numeric_limits<double>::infinity() : value.get<double>());
  return values;
}

std::optional<double> optional_of(const Json& value) {
  return value.is_null() ? std::nullopt : std::optional(value.get<double>());
}

}  // namespace

std::vector<std::pair<const char*, std::optional<double>>> listed(const RangeFindings& f) {
  return {{"starts", f.starts},
          {"steepest", f.steepest},
          {"slows", f.slows},
          {"lowest", f.lowest},
          {"ragged", f.ragged}};
}

charts::Chart chart_of(const RangeTest& test) {
  const RangeBand& band = test.band;
  charts::Chart chart{.title = "Range test",
                      .x_label = test.name,
                      .y_label = "training loss",
                      .log_x = test.options.sweep == Sweep::exponential};
  const bool several = test.seeds.size() > 1;
  chart.series.push_back({.name = several ? concat("median of ", test.seeds.size(), " seeds") : "smoothed",
                          .x = band.values,
                          .y = band.median});
  if (several && !band.median.empty()) {
    // A seed that runs away would leave no room for the others.
    const double most = *std::max_element(band.median.begin(), band.median.end());
    std::vector<double> highest = band.highest;
    for (double& loss : highest)
      if (loss > 1.1 * most) loss = std::nan("");
    chart.series.push_back({.name = "lowest", .x = band.values, .y = band.lowest});
    chart.series.push_back({.name = "highest", .x = band.values, .y = highest});
  }
  for (const auto& [name, value] : listed(test.found))
    if (value) chart.marks.push_back({*value, name});
  return chart;
}

std::string findings_text(const RangeTest& test) {
  const auto line = [](const char* what, std::optional<double> value) {
    return concat("  ", what, value ? printed("%.3g", *value) : "nowhere in the test", "\n");
  };
  const RangeFindings& f = test.found;
  return concat("Over the ", test.name, ", learning\n", line("starts         ", f.starts),
                line("is steepest    ", f.steepest), line("slows          ", f.slows),
                line("loss is lowest ", f.lowest), line("turns ragged   ", f.ragged));
}

Json to_json(const RangeTest& test) {
  Json curves = Json::array();
  for (size_t i = 0; i < test.curves.size(); ++i) {
    const RangeCurve& curve = test.curves[i];
    curves.push_back({{"seed", test.seeds[i]},
                      {"losses", curve.losses},
                      {"smoothed", curve.smoothed},
                      {"diverged", curve.diverged}});
  }
  Json found;
  for (const auto& [name, value] : listed(test.found)) found[name] = or_null(value);
  const RangeTestOptions& o = test.options;
  return {{"of", test.name},
          {"sweep", o.sweep == Sweep::linear ? "linear" : "exponential"},
          {"low", o.low},
          {"high", o.high},
          {"steps", o.steps},
          {"smoothing", o.smoothing},
          {"stop_above", o.stop_above},
          {"values", sweep_values(o)},
          {"curves", curves},
          {"median", test.band.median},
          {"lowest", test.band.lowest},
          {"highest", test.band.highest},
          {"diverges", or_null(test.band.diverges)},
          {"found", found}};
}

RangeTest range_test_of(const Json& json) {
  RangeTest test{.name = json.at("of"),
                 .options = {.low = json.at("low"),
                             .high = json.at("high"),
                             .steps = json.at("steps"),
                             .sweep = json.at("sweep") == "linear" ? Sweep::linear : Sweep::exponential,
                             .smoothing = json.at("smoothing"),
                             .stop_above = json.at("stop_above")}};
  for (const Json& curve : json.at("curves")) test.seeds.push_back(curve.at("seed"));
  RangeBand& band = test.band;
  band.median = numbers(json.at("median"));
  band.lowest = numbers(json.at("lowest"));
  band.highest = numbers(json.at("highest"));
  band.values = numbers(json.at("values"));
  band.values.resize(band.median.size());  // up to where the band ends
  band.diverges = optional_of(json.at("diverges"));
  test.found = analyse(band);
  return test;
}

}  // namespace galvan
