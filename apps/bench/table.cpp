#include "apps/bench/table.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "core/check.h"

namespace galvan {

Floor floor_of(const BenchRow& row, const BenchTable& table) {
  const double memory = row.bytes / table.bytes_per_second, compute = row.flops / table.flops_per_second;
  if (memory == 0 && compute == 0) return {};
  return memory >= compute ? Floor{memory, "memory"} : Floor{compute, "compute"};
}

std::string to_json(const BenchTable& table) {
  using nlohmann::ordered_json;
  ordered_json machine = ordered_json::object(), rows = ordered_json::array();
  for (const auto& [what, value] : table.machine) machine[what] = value;
  for (const BenchRow& row : table.rows)
    rows.push_back({{"op", row.op},
                    {"pass", row.pass},
                    {"shape", row.shape},
                    {"bytes", row.bytes},
                    {"flops", row.flops},
                    {"error", row.error},
                    {"deterministic", row.deterministic},
                    {"seconds", row.times}});
  const ordered_json file = {{"format", "galvan bench 1"},
                             {"machine", machine},
                             {"dtype", table.dtype},
                             {"bytes per second", table.bytes_per_second},
                             {"flops per second", table.flops_per_second},
                             {"rows", rows}};
  return file.dump(1) + "\n";
}

BenchTable parse_bench_table(const std::string& text, const std::string& name) {
  try {
    const auto file = nlohmann::ordered_json::parse(text);
    check(file.value("format", "") == "galvan bench 1", "its format is not 'galvan bench 1'");
    BenchTable table;
    for (const auto& [what, value] : file.at("machine").items()) table.machine.emplace_back(what, value);
    table.dtype = file.at("dtype");
    table.bytes_per_second = file.at("bytes per second");
    table.flops_per_second = file.at("flops per second");
    for (const auto& row : file.at("rows"))
      table.rows.push_back({.op = row.at("op"),
                            .pass = row.at("pass"),
                            .shape = row.at("shape"),
                            .bytes = row.at("bytes"),
                            .flops = row.at("flops"),
                            .error = row.at("error").is_null() ? INFINITY : row.at("error").get<double>(),
                            .deterministic = row.at("deterministic"),
                            .times = row.at("seconds")});
    return table;
  } catch (const std::exception& error) {
    fail(name, ": not a file of galvan bench: ", error.what());
  }
}

}  // namespace galvan
