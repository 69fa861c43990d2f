// Validation loss of several runs in one picture.
//
//   bench_curves OUT.svg NAME=RUN [NAME=RUN ...]       reads RUN/metrics.jsonl
#include <iostream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "apps/charts/charts.h"
#include "bench/command_line.h"
#include "core/check.h"
#include "models/files.h"

using namespace galvan;

namespace {

charts::Series read_run(const std::string& argument) {
  const size_t equals = argument.find('=');
  check(equals != std::string::npos, "bench_curves: '", argument, "' is not NAME=RUN");
  charts::Series series{.name = argument.substr(0, equals)};
  std::istringstream lines(read_text_file(argument.substr(equals + 1) + "/metrics.jsonl"));
  for (std::string line; std::getline(lines, line);) {
    const auto record = nlohmann::json::parse(line);
    if (!record.contains("eval_loss")) continue;
    series.x.push_back(record.at("step"));
    series.y.push_back(record.at("eval_loss"));
  }
  return series;
}

}  // namespace

int main(int argc, char** argv) {
  std::string out;
  std::vector<std::string> runs;
  CLI::App app("Draws the validation loss of several runs into one SVG.", "bench_curves");
  app.add_option("OUT.svg", out, "the picture")->required();
  app.add_option("NAME=RUN", runs, "a curve's name and its run's folder")->required();
  parse_or_exit(app, argc, argv);
  try {
    charts::Chart chart{.title = "Validation loss", .x_label = "step", .y_label = "nats a token"};
    for (const std::string& run : runs) chart.series.push_back(read_run(run));
    write_file_atomically(out, charts::to_svg(chart));
  } catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return 1;
  }
}
