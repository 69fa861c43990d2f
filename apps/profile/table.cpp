#include "apps/profile/table.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <numeric>

#include "apps/bench/verdict.h"
#include "apps/text_format.h"
#include "core/check.h"

namespace galvan {
namespace {

std::string name_of(const OpRun& run) { return run.backward ? run.op + " backward" : run.op; }

// A row in the making.
struct Sum {
  ProfileRow row;
  double memory = 0, compute = 0;    // of the floor
  std::vector<double> seconds = {};  // by step

  void add(const OpRun& run, size_t step, size_t steps, const Ceilings& ceilings) {
    seconds.resize(steps);
    seconds[step] += run.end - run.begin;
    if (step > 0) return;
    ++row.calls;
    row.bytes += run.bytes;
    row.flops += run.flops;
    row.allocations += run.allocations;
    row.allocated_bytes += run.allocated_bytes;
    row.launches += static_cast<int64_t>(run.launches.size());
    const Floor floor = floor_of(static_cast<double>(run.bytes), run.flops, ceilings);
    (std::string_view(floor.bound) == "compute" ? compute : memory) += floor.seconds;
  }

  ProfileRow done() {
    row.seconds = quantile(seconds, 0.5);
    row.floor = memory + compute;
    row.bound = row.floor == 0 ? "" : memory >= compute ? "memory" : "compute";
    return row;
  }
};

void longest_first(std::vector<ProfileRow>& rows) {
  std::stable_sort(rows.begin(), rows.end(),
                   [](const ProfileRow& a, const ProfileRow& b) { return a.seconds > b.seconds; });
}

// 12.3 k, 4.56 M
std::string amount(double value) {
  for (const auto& [unit, size] : {std::pair{" G", 1e9}, {" M", 1e6}, {" k", 1e3}})
    if (value >= size) return printed("%.3g", value / size) + unit;
  return value == 0 ? "" : printed("%.3g", value);
}

std::string milliseconds(double seconds) { return printed("%.3f", 1e3 * seconds); }

}  // namespace

std::vector<ProfileRow> profile_rows(const std::vector<StepRun>& steps, const Ceilings& ceilings,
                                     bool kernels) {
  check(!steps.empty(), "profile: there are no steps");
  std::vector<std::string> order;
  std::map<std::string, Sum> ops;
  std::map<std::string, std::map<std::string, Sum>> parts;
  for (size_t i = 0; i < steps.size(); ++i) {
    check(steps[i].ops.size() == steps[0].ops.size(), "profile: a step has ", steps[0].ops.size(),
          " ops, a later one ", steps[i].ops.size());
    for (const OpRun& run : steps[i].ops) {
      const std::string name = name_of(run);
      const auto [found, is_new] = ops.try_emplace(name, Sum{.row = {.op = name}});
      if (is_new) order.push_back(name);
      found->second.add(run, i, steps.size(), ceilings);
      if (!kernels) continue;
      const auto part =
          parts[name].try_emplace(run.kernels, Sum{.row = {.op = name, .kernels = run.kernels}});
      part.first->second.add(run, i, steps.size(), ceilings);
    }
  }
  std::vector<ProfileRow> tops, rows;
  for (const std::string& name : order) tops.push_back(ops.at(name).done());
  longest_first(tops);
  for (const ProfileRow& top : tops) {
    rows.push_back(top);
    std::vector<ProfileRow> below;
    for (auto& [kernel, sum] : parts[top.op]) below.push_back(sum.done());
    longest_first(below);
    rows.insert(rows.end(), below.begin(), below.end());
    if (!kernels) continue;
    std::map<std::string, int64_t> launches;  // by name
    for (const OpRun& run : steps[0].ops)
      if (name_of(run) == top.op)
        for (const std::string& launch : run.launches) ++launches[launch];
    for (const auto& [kernel, count] : launches)
      rows.push_back({.op = top.op, .kernels = kernel, .launches = count});
  }
  return rows;
}

std::string profile_table(const std::vector<ProfileRow>& rows, double step_seconds, bool timed, bool card) {
  std::vector<std::vector<std::string>> cells = {{"op", "calls"}};
  if (timed) cells[0].insert(cells[0].end(), {"ms", "share"});
  cells[0].insert(cells[0].end(), {"bytes", "FLOPs"});
  if (timed) cells[0].insert(cells[0].end(), {"floor, ms", "bound", "gap, ms"});
  cells[0].push_back("allocations");
  if (card) cells[0].push_back("launches");
  const auto add = [&](const ProfileRow& row) {
    const bool is_part = !row.kernels.empty(), is_launch = is_part && row.calls == 0;
    std::vector<std::string> line = {is_part ? "  " + row.kernels : row.op,
                                     is_launch ? "" : with_commas(row.calls)};
    if (timed)
      line.insert(
          line.end(),
          {is_launch ? "" : milliseconds(row.seconds),
           is_launch || step_seconds <= 0 ? "" : printed("%.1f %%", 100 * row.seconds / step_seconds)});
    line.insert(line.end(), {amount(static_cast<double>(row.bytes)), amount(row.flops)});
    if (timed)
      line.insert(line.end(), {row.floor > 0 ? milliseconds(row.floor) : "", row.bound,
                               row.floor > 0 ? milliseconds(row.seconds - row.floor) : ""});
    line.push_back(row.allocations > 0 ? with_commas(row.allocations) : "");
    if (card) line.push_back(row.launches > 0 ? with_commas(row.launches) : "");
    cells.push_back(std::move(line));
  };
  ProfileRow all{.op = "all ops"}, outside{.op = "between ops, on the host"};
  double memory = 0, compute = 0;
  for (const ProfileRow& row : rows) {
    add(row);
    if (!row.kernels.empty()) continue;
    all.calls += row.calls, all.bytes += row.bytes, all.flops += row.flops, all.floor += row.floor;
    all.seconds += row.seconds, all.allocations += row.allocations, all.launches += row.launches;
    (std::string_view(row.bound) == "compute" ? compute : memory) += row.floor;
  }
  all.bound = all.floor == 0 ? "" : memory >= compute ? "memory" : "compute";
  add(all);
  if (timed) {
    outside.seconds = std::max(0.0, step_seconds - all.seconds);
    add(outside);
    cells.back()[1] = "";  // it is called by nobody
  }

  std::vector<size_t> widths(cells[0].size());
  for (const auto& line : cells)
    for (size_t i = 0; i < line.size(); ++i) widths[i] = std::max(widths[i], line[i].size());
  std::string text;
  for (const auto& line : cells) {
    std::string row;
    for (size_t i = 0; i < line.size(); ++i) {
      const std::string space(widths[i] - line[i].size(), ' ');
      row += i == 0 ? line[i] + space : "  " + space + line[i];
    }
    text += row.substr(0, row.find_last_not_of(' ') + 1) + "\n";
  }
  return text;
}

std::string to_trace(const StepRun& step, const std::string& title, bool timed) {
  using Json = nlohmann::ordered_json;
  Json events = Json::array();
  events.push_back(
      {{"name", "process_name"}, {"ph", "M"}, {"pid", 1}, {"tid", 1}, {"args", {{"name", title}}}});
  events.push_back(
      {{"name", "thread_name"}, {"ph", "M"}, {"pid", 1}, {"tid", 1}, {"args", {{"name", "ops of a step"}}}});
  double order = 0;
  for (const OpRun& run : step.ops) {
    Json args = {{"kernels", run.kernels}, {"bytes", run.bytes}};
    if (run.flops > 0) args["flops"] = run.flops;
    if (run.allocations > 0) {
      args["allocations"] = run.allocations;
      args["allocated bytes"] = run.allocated_bytes;
    }
    if (!run.launches.empty()) args["launches"] = run.launches;
    events.push_back({{"name", name_of(run)},
                      {"cat", run.backward ? "backward" : "forward"},
                      {"ph", "X"},
                      {"ts", timed ? 1e6 * run.begin : order},
                      {"dur", timed ? 1e6 * (run.end - run.begin) : 1.0},
                      {"pid", 1},
                      {"tid", 1},
                      {"args", std::move(args)}});
    ++order;
  }
  const Json trace = {
      {"traceEvents", std::move(events)},
      {"displayTimeUnit", "ms"},
      {"otherData", {{"time", timed ? "measured" : "the order of the ops alone: simulated"}}}};
  return trace.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

}  // namespace galvan
