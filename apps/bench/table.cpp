#include "apps/bench/table.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "apps/bench/verdict.h"
#include "core/check.h"

namespace galvan {

using nlohmann::ordered_json;

std::string name_of(const BenchRow& row) {
  return row.kernel + (row.technique.empty() ? "" : "/" + row.technique) + " " + row.pass +
         (row.device == "cpu" ? "" : " on " + row.device);
}

std::string key_of(const BenchRow& row) { return name_of(row) + " (" + row.shape + ")"; }

Ceilings ceilings_of(const BenchTable& table, const std::string& device) {
  for (const Ceilings& ceilings : table.ceilings)
    if (ceilings.device == device) return ceilings;
  return {.device = device, .source = "not known"};
}

Floor floor_of(double bytes, double flops, const Ceilings& ceilings) {
  if (ceilings.bytes_per_second <= 0 || ceilings.flops_per_second <= 0) return {};
  const double memory = bytes / ceilings.bytes_per_second, compute = flops / ceilings.flops_per_second;
  if (memory == 0 && compute == 0) return {};
  return memory >= compute ? Floor{memory, "memory"} : Floor{compute, "compute"};
}

Floor floor_of(const BenchRow& row, const BenchTable& table) {
  return floor_of(row.bytes, row.flops, ceilings_of(table, row.device));
}

bool is_right(const BenchRow& row) { return row.error <= 1 && row.deterministic && row.failure.empty(); }

std::optional<double> speed_against(const BenchRow& row, const BenchRow* other) {
  if (other == nullptr || !is_right(row) || !is_right(*other)) return {};
  std::vector<double> ratios;
  for (size_t i = 0; i < std::min(row.times.size(), other->times.size()); ++i)
    ratios.push_back(other->times[i] / row.times[i]);
  if (ratios.empty()) return {};
  return quantile(ratios, 0.5);
}

namespace {

bool same_work(const BenchRow& a, const BenchRow& b) {
  return a.kernel == b.kernel && a.pass == b.pass && a.device == b.device && a.shape == b.shape;
}

}  // namespace

const BenchRow* baseline_of(const BenchTable& table, const BenchRow& row, const std::string& technique) {
  const BenchRow* lowest = nullptr;
  for (const BenchRow& other : table.rows) {
    if (!same_work(row, other)) continue;
    if (!technique.empty()) {
      if (other.technique == technique) return &other;
      continue;
    }
    // Rungs stand in their order, but for one that has taken production's place; files are numbered.
    const bool is_first = other.role == Role::rung && lowest == nullptr;
    const bool is_below = other.role == Role::production && other.file.find("/ladder/") != other.file.npos &&
                          (lowest == nullptr || other.file < lowest->file);
    if (is_first || is_below) lowest = &other;
  }
  return lowest;
}

const BenchRow* library_of(const BenchTable& table, const BenchRow& row) {
  for (const BenchRow& other : table.rows)
    if (same_work(row, other) && other.role == Role::library) return &other;
  return nullptr;
}

namespace {

ordered_json to_json(const BenchLaunch& launch) {
  ordered_json json = {{"kernel", launch.kernel},       {"grid", launch.grid},
                       {"block", launch.block},         {"shared bytes", launch.shared_bytes},
                       {"registers", launch.registers}, {"occupancy", launch.occupancy}};
  if (const auto& counts = launch.counts)
    json["counts"] = {{"bytes read", counts->bytes_read},
                      {"bytes written", counts->bytes_written},
                      {"sectors", counts->sectors},
                      {"shared transactions", counts->shared_transactions},
                      {"bank conflicts", counts->bank_conflicts},
                      {"barriers", counts->barriers}};
  return json;
}

BenchLaunch parse_launch(const ordered_json& json) {
  BenchLaunch launch{.kernel = json.at("kernel"),
                     .grid = json.at("grid"),
                     .block = json.at("block"),
                     .shared_bytes = json.at("shared bytes"),
                     .registers = json.at("registers"),
                     .occupancy = json.at("occupancy")};
  if (json.contains("counts")) {
    const ordered_json& counts = json.at("counts");
    launch.counts = {.bytes_read = counts.at("bytes read"),
                     .bytes_written = counts.at("bytes written"),
                     .sectors = counts.at("sectors"),
                     .shared_transactions = counts.at("shared transactions"),
                     .bank_conflicts = counts.at("bank conflicts"),
                     .barriers = counts.at("barriers")};
  }
  return launch;
}

ordered_json to_json(const BenchRow& row) {
  ordered_json json = {{"kernel", row.kernel}};
  if (row.role != Role::only) {
    json["technique"] = row.technique;
    json["file"] = row.file;
    json["role"] = name(row.role);
  }
  json["pass"] = row.pass;
  json["device"] = row.device;
  json["shape"] = row.shape;
  if (!row.large_shape.empty()) json["large shape"] = row.large_shape;
  json["bytes"] = row.bytes;
  json["flops"] = row.flops;
  json["error"] = row.error;
  json["deterministic"] = row.deterministic;
  if (!row.failure.empty()) json["failure"] = row.failure;
  json["seconds"] = row.times;
  if (!row.cold_times.empty()) json["seconds, cold"] = row.cold_times;
  if (row.clock > 0) json["clock"] = row.clock;
  for (const BenchLaunch& launch : row.launches) json["launches"].push_back(to_json(launch));
  return json;
}

BenchRow parse_row(const ordered_json& json) {
  BenchRow row{.kernel = json.at("kernel"),
               .technique = json.value("technique", ""),
               .file = json.value("file", ""),
               .role = parse_role(json.value("role", "only")),
               .pass = json.at("pass"),
               .device = json.at("device"),
               .shape = json.at("shape"),
               .bytes = json.at("bytes"),
               .flops = json.at("flops"),
               .error = json.at("error").is_null() ? INFINITY : json.at("error").get<double>(),
               .deterministic = json.at("deterministic"),
               .failure = json.value("failure", ""),
               .times = json.at("seconds"),
               .large_shape = json.value("large shape", "")};
  if (json.contains("seconds, cold")) row.cold_times = json.at("seconds, cold").get<std::vector<double>>();
  row.clock = json.value("clock", 0.0);
  if (json.contains("launches"))
    for (const ordered_json& launch : json.at("launches")) row.launches.push_back(parse_launch(launch));
  return row;
}

constexpr const char* kFormat = "galvan bench 2";

}  // namespace

std::string to_json(const BenchTable& table) {
  ordered_json machine = ordered_json::object(), ceilings = ordered_json::array(),
               rows = ordered_json::array();
  for (const auto& [what, value] : table.machine) machine[what] = value;
  for (const Ceilings& c : table.ceilings)
    ceilings.push_back({{"device", c.device},
                        {"source", c.source},
                        {"bytes per second", c.bytes_per_second},
                        {"flops per second", c.flops_per_second}});
  for (const BenchRow& row : table.rows) rows.push_back(to_json(row));
  const ordered_json file = {{"format", kFormat},    {"machine", machine},   {"date", table.date},
                             {"dtype", table.dtype}, {"ceilings", ceilings}, {"rows", rows}};
  return file.dump(1) + "\n";
}

BenchTable parse_bench_table(const std::string& text, const std::string& name) {
  try {
    const auto file = ordered_json::parse(text);
    check(file.value("format", "") == kFormat, "its format is not '", kFormat, "'");
    BenchTable table{.date = file.at("date"), .dtype = file.at("dtype")};
    for (const auto& [what, value] : file.at("machine").items()) table.machine.emplace_back(what, value);
    for (const auto& c : file.at("ceilings"))
      table.ceilings.push_back({.device = c.at("device"),
                                .source = c.at("source"),
                                .bytes_per_second = c.at("bytes per second"),
                                .flops_per_second = c.at("flops per second")});
    for (const auto& row : file.at("rows")) table.rows.push_back(parse_row(row));
    return table;
  } catch (const std::exception& error) {
    fail(name, ": not a file of galvan bench: ", error.what());
  }
}

}  // namespace galvan
