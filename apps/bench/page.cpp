#include "apps/bench/page.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include "apps/bench/verdict.h"
#include "apps/report/figure.h"
#include "apps/report/page.h"
#include "apps/text_format.h"
#include "core/check.h"

namespace galvan {
namespace {

using report::escape;

double median(const std::vector<double>& times) { return quantile(times, 0.5); }
bool is_timed(const BenchRow& row) { return is_right(row) && !row.times.empty(); }

std::string label_of(const BenchRow& row) {
  return row.kernel + (row.technique.empty() ? "" : "/" + row.technique);
}

std::vector<std::string> devices_of(const BenchTable& table) {
  std::vector<std::string> devices;
  for (const Ceilings& ceilings : table.ceilings) devices.push_back(ceilings.device);
  return devices;
}

std::string overview(const BenchTable& table) {
  std::string html = "<dl class=\"facts\">\n";
  const auto tile = [&](const std::string& what, const std::string& value, const std::string& more) {
    html += concat("<div><dt>", escape(what), "</dt><dd>", escape(value), "<small>", escape(more),
                   "</small></dd></div>\n");
  };
  for (const Ceilings& c : table.ceilings) {
    tile("Copying, " + c.device, printed("%.4g GB/s", c.bytes_per_second / 1e9), c.source);
    tile("Peak, " + c.device,
         c.flops_per_second < 1e12 ? printed("%.4g GFLOP/s", c.flops_per_second / 1e9)
                                   : printed("%.4g TFLOP/s", c.flops_per_second / 1e12),
         c.source);
  }
  const auto wrong =
      std::count_if(table.rows.begin(), table.rows.end(), [](const auto& row) { return !is_right(row); });
  tile("Rows", std::to_string(table.rows.size()), concat(wrong, " wrong"));
  tile("Elements", table.dtype, table.date);
  return html + "</dl>\n";
}

// --- the roofline ---

// Kernels that do no arithmetic worth counting are drawn at so many FLOPs a byte, at the height of their bandwidth.
constexpr double kIntensityOfMovers = 1.0 / 64;

std::string roofline(const BenchTable& table, const std::string& device) {
  const Ceilings ceilings = ceilings_of(table, device);
  report::Figure figure{
      .id = "roofline-" + device,
      .title = "Roofline, " + device,
      .unit = "GFLOP/s",
      .note =
          "Forward passes. The line is what the ceilings allow; above it, data came from a cache. "
          "Kernels that only move data stand at 1/64 FLOP a byte.",
      .x_label = "FLOPs a byte",
      .log_x = true,
      .log_y = true};
  double least = kIntensityOfMovers / 2, most = 4 * ceilings.flops_per_second / ceilings.bytes_per_second;
  const std::pair<Role, const char*> kinds[] = {{Role::production, "what training uses"},
                                                {Role::rung, "rungs of ladders"},
                                                {Role::library, "library"},
                                                {Role::own, "your own"}};
  size_t colour = 1;
  std::vector<report::Curve> dots;
  for (const auto& [role, words] : kinds) {
    report::Curve curve{.name = words, .style = report::CurveStyle::dots, .colour = colour++};
    for (const BenchRow& row : table.rows) {
      const Role as = row.role == Role::only ? Role::production : row.role;
      if (as != role || row.device != device || row.bytes <= 0 || !is_timed(row)) continue;
      const double flops = row.flops > 0 ? row.flops : row.bytes * kIntensityOfMovers;
      curve.x.push_back(flops / row.bytes);
      curve.y.push_back(flops / median(row.times) / 1e9);
      curve.words.push_back(concat(label_of(row), " (", row.shape,
                                   "): ", printed("%.4g us", 1e6 * median(row.times)), ", ",
                                   printed("%.3g GB/s", row.bytes / median(row.times) / 1e9)));
      most = std::max(most, 2 * curve.x.back());
    }
    if (!curve.x.empty()) dots.push_back(std::move(curve));
  }
  if (dots.empty() || ceilings.bytes_per_second <= 0) return "";
  const double ridge = ceilings.flops_per_second / ceilings.bytes_per_second;
  figure.curves.push_back({.name = "ceilings",
                           .x = {least, ridge, most},
                           .y = {least * ceilings.bytes_per_second / 1e9, ceilings.flops_per_second / 1e9,
                                 ceilings.flops_per_second / 1e9}});
  for (report::Curve& curve : dots) figure.curves.push_back(std::move(curve));
  return report::to_html(figure);
}

// --- ladders ---

double sectors_of(const BenchRow& row) {
  double sectors = 0;
  for (const BenchLaunch& launch : row.launches)
    if (launch.counts) sectors += static_cast<double>(launch.counts->sectors);
  return sectors;
}

// A bar a version: of its floor's speed, or where there are no times, of the memory that it asks for.
std::string bars(const BenchTable& table, const std::vector<const BenchRow*>& ladder,
                 const std::string& baseline) {
  const auto height = [&](const BenchRow& row) {
    if (is_timed(row)) {
      const Floor floor = floor_of(row, table);
      return floor.seconds > 0 ? 100 * floor.seconds / median(row.times) : 1e-3 / median(row.times);
    }
    return is_right(row) && row.times.empty() ? sectors_of(row) : 0.0;
  };
  const bool timed =
      std::any_of(ladder.begin(), ladder.end(), [](const BenchRow* row) { return !row->times.empty(); });
  const bool floors = timed && floor_of(*ladder[0], table).seconds > 0;
  double most = floors ? 100 : 0;
  for (const BenchRow* row : ladder) most = std::max(most, height(*row));
  if (most <= 0) return "";
  const BenchRow& first = *ladder[0];
  std::string html =
      concat("<figure><figcaption><h3>", escape(first.kernel), " ", escape(first.pass),
             first.device == "cpu" ? "" : " on " + first.device, "</h3><span class=\"unit\">",
             floors  ? concat("% of the speed that the ", floor_of(first, table).bound, " ceiling allows")
             : timed ? std::string("calls a millisecond")
                     : std::string("sectors of 32 bytes asked for; less is better"),
             "</span></figcaption>\n<p class=\"note\">", escape(first.shape), "</p>\n<div class=\"bars\">\n");
  for (const BenchRow* row : ladder) {
    const std::string value =
        !is_right(*row) ? "WRONG"
                        : concat(printed(timed ? "%.3g" : "%.6g", height(*row)), floors ? " %" : "");
    const auto speed = speed_against(*row, baseline_of(table, *row, baseline));
    html += concat("<span>", escape(row->technique), "</span><i class=\"", name(row->role),
                   "\" style=\"width:", printed("%.2f", 100 * height(*row) / most), "%\"></i><b>", value,
                   speed ? concat("<small> ", printed("%.3g", *speed), " x</small>") : "", "</b>\n");
  }
  return html + "</div></figure>\n";
}

std::string ladders(const BenchTable& table, const std::string& baseline) {
  std::vector<std::string> order;
  std::map<std::string, std::vector<const BenchRow*>> by_work;
  for (const BenchRow& row : table.rows) {
    if (row.role == Role::only) continue;
    const std::string work = concat(row.kernel, " ", row.pass, " ", row.device, " ", row.shape);
    if (by_work[work].empty()) order.push_back(work);
    by_work[work].push_back(&row);
  }
  std::string html;
  for (const std::string& work : order)
    if (by_work[work].size() > 1) html += bars(table, by_work[work], baseline);
  if (html.empty()) return "";
  return "<h2>Versions of a kernel</h2>\n<p class=\"note\">From the lowest rung of its ladder up to what "
         "training uses; "
         "then a library's. x: times as fast as the baseline, the lowest rung unless said.</p>\n" +
         html;
}

// --- the tables ---

std::string cell(const std::string& text) { return "<td>" + text + "</td>"; }

std::string technique_cell(const BenchRow& row) {
  return cell(escape(label_of(row)) +
              (row.file.empty() ? "" : "<br><small>" + escape(row.file) + "</small>"));
}

std::string inputs_cell(const BenchRow& row) { return "<td class=\"inputs\">" + escape(row.shape) + "</td>"; }

std::string state_of(const BenchRow& row) {
  return !row.failure.empty() ? "cannot be called: " + row.failure
         : row.error > 1      ? "WRONG"
         : row.deterministic  ? ""
                              : "NOT DETERMINISTIC";
}

std::string timed_table(const BenchTable& table, const std::string& device, const std::string& baseline) {
  const Ceilings ceilings = ceilings_of(table, device);
  std::string html = concat(
      "<div class=\"wide rows\"><table><thead><tr><th>kernel</th><th>pass</th><th>inputs</th><th>median "
      "us</th>"
      "<th>20 % to 80 %</th><th>GB/s</th><th>GFLOP/s</th><th>light</th><th>x base</th><th>x lib</th>"
      "<th>error</th></tr></thead><tbody>\n");
  for (const BenchRow& row : table.rows) {
    if (row.device != device) continue;
    html += concat(is_right(row) ? "<tr>" : "<tr class=\"differs\">", technique_cell(row),
                   cell(escape(row.pass)), inputs_cell(row));
    if (!is_timed(row)) {
      html += concat("<td colspan=\"7\">", escape(state_of(row)), "</td>", cell(printed("%.2f", row.error)),
                     "</tr>\n");
      continue;
    }
    const double time = median(row.times);
    const auto rate = [&](double amount, double ceiling) {
      return cell(amount > 0 ? concat(printed("%.1f", amount / time / 1e9), " <small>(",
                                      printed("%.0f", 100 * amount / time / ceiling), " %)</small>")
                             : "");
    };
    const auto speed = [](const std::optional<double>& s) { return cell(s ? printed("%.3g", *s) : ""); };
    const Floor floor = floor_of(row, table);
    html += concat(
        cell(concat(printed("%.1f", 1e6 * time),
                    row.cold_times.empty()
                        ? ""
                        : printed("<br><small>cold %.1f</small>", 1e6 * median(row.cold_times)),
                    row.clock > 0 ? printed("<br><small>%.0f cycles</small>", time * row.clock) : "")),
        cell(concat(printed("%.1f", 1e6 * quantile(row.times, 0.2)), " to ",
                    printed("%.1f", 1e6 * quantile(row.times, 0.8)))),
        rate(row.bytes, ceilings.bytes_per_second), rate(row.flops, ceilings.flops_per_second),
        cell(floor.seconds > 0
                 ? concat(printed("%.0f %%", 100 * floor.seconds / time), " <small>", floor.bound, "</small>")
                 : ""),
        speed(speed_against(row, baseline_of(table, row, baseline))),
        speed(speed_against(row, library_of(table, row))),
        cell(table.dtype == "f64" ? "" : printed("%.2f", row.error)), "</tr>\n");
  }
  return html + "</tbody></table></div>\n";
}

std::string launch_table(const BenchTable& table, const std::string& device) {
  std::string html =
      "<div class=\"wide rows\"><table><thead><tr><th>kernel</th><th>pass</th><th>inputs</th><th>launch</th>"
      "<th>registers</th><th>shared</th><th>occupancy</th><th>read</th><th>written</th><th>sectors</th>"
      "<th>conflicts</th><th>barriers</th><th>floor</th></tr></thead><tbody>\n";
  for (const BenchRow& row : table.rows) {
    if (row.device != device) continue;
    const Floor floor = floor_of(row, table);
    const std::string at_least =
        floor.seconds > 0 ? concat(printed("%.2f us", 1e6 * floor.seconds), " <small>", floor.bound, ", of ",
                                   escape(row.large_shape.empty() ? row.shape : row.large_shape), "</small>")
                          : "";
    std::string head = technique_cell(row) + cell(escape(row.pass)) + inputs_cell(row);
    std::string end = cell(at_least);
    const auto add = [&](const std::string& cells) {
      html += concat(is_right(row) ? "<tr>" : "<tr class=\"differs\">",
                     std::exchange(head, cell("") + cell("") + cell("")), cells, std::exchange(end, cell("")),
                     "</tr>\n");
    };
    if (row.launches.empty() || !is_right(row)) add("<td colspan=\"9\">" + escape(state_of(row)) + "</td>");
    for (const BenchLaunch& l : row.launches) {
      const auto count = [&](int64_t BenchLaunch::Counts::*what) {
        return cell(l.counts ? with_commas((*l.counts).*what) : "");
      };
      using C = BenchLaunch::Counts;
      add(concat(cell(concat(escape(l.kernel), "<br><small>", l.grid, " of ", l.block, "</small>")),
                 cell(l.registers > 0 ? std::to_string(l.registers) : ""), cell(with_commas(l.shared_bytes)),
                 cell(l.occupancy > 0 ? printed("%.0f %%", 100 * l.occupancy) : ""), count(&C::bytes_read),
                 count(&C::bytes_written), count(&C::sectors), count(&C::bank_conflicts),
                 count(&C::barriers)));
    }
  }
  return html + "</tbody></table></div>\n";
}

// --- history ---

// How times changed from the first file on: all rows together, and those that changed most.
std::string history(const std::vector<BenchFile>& files) {
  if (files.size() < 2) return "";
  constexpr size_t kMostCurves = 5;
  std::map<std::string, std::vector<double>> medians;  // of rows that all files have
  for (size_t i = 0; i < files.size(); ++i)
    for (const BenchRow& row : files[i].table.rows)
      if (auto& of_row = medians[key_of(row)]; is_timed(row) && of_row.size() == i)
        of_row.push_back(median(row.times));
  std::erase_if(medians, [&](const auto& entry) { return entry.second.size() != files.size(); });
  if (medians.empty()) return "";
  std::vector<std::pair<double, std::string>> changes;
  std::vector<double> together(files.size());
  for (const auto& [key, times] : medians) {
    const auto [least, most] = std::minmax_element(times.begin(), times.end());
    changes.emplace_back(-*most / *least, key);
    for (size_t i = 0; i < files.size(); ++i)
      together[i] += std::log(times[i] / times[0]) / static_cast<double>(medians.size());
  }
  std::sort(changes.begin(), changes.end());
  changes.resize(std::min(changes.size(), kMostCurves));
  report::Figure figure{.id = "history",
                        .title = "Times beside those of the first file",
                        .unit = "x",
                        .note =
                            "Files were not measured in turn, and a machine drifts: galvan bench --against "
                            "tells two builds apart.",
                        .x_label = "file"};
  std::vector<double> places;
  for (size_t i = 0; i < files.size(); ++i) {
    places.push_back(static_cast<double>(i));
    figure.x_names.push_back(files[i].name);
  }
  report::Curve all{.name = concat("all ", medians.size(), " rows, geometric mean"),
                    .x = places,
                    .style = report::CurveStyle::dotted};
  for (const double logarithm : together) all.y.push_back(std::exp(logarithm));
  figure.curves.push_back(std::move(all));
  for (const auto& [change, key] : changes) {
    report::Curve curve{
        .name = key, .x = places, .style = report::CurveStyle::dotted, .colour = figure.curves.size()};
    for (const double time : medians[key]) curve.y.push_back(time / medians[key][0]);
    figure.curves.push_back(std::move(curve));
  }
  return "<h2>History</h2>\n" + report::to_html(figure);
}

std::string machine(const BenchTable& table) {
  std::string html = "<h2>Machine</h2>\n<div class=\"wide\"><table><tbody>\n";
  for (const auto& [what, value] : table.machine)
    html += "<tr><th>" + escape(what) + "</th><td class=\"wrap\">" + escape(value) + "</td></tr>\n";
  return html + "</tbody></table></div>\n";
}

}  // namespace

std::string bench_page(const std::vector<BenchFile>& files, const std::string& baseline) {
  check(!files.empty(), "bench: a page of no file");
  const BenchTable& table = files.back().table;
  std::string body = concat("<h1>Kernels in ", escape(table.dtype), "</h1>\n", overview(table));
  std::string roofs, tables;
  for (const std::string& device : devices_of(table)) {
    const bool timed = std::any_of(table.rows.begin(), table.rows.end(), [&](const BenchRow& row) {
      return row.device == device && !row.times.empty();
    });
    roofs += roofline(table, device);
    tables += concat("<h2>Every kernel, ", escape(device), "</h2>\n");
    const bool launched = std::any_of(table.rows.begin(), table.rows.end(), [&](const BenchRow& row) {
      return row.device == device && !row.launches.empty();
    });
    tables += timed ? concat(timed_table(table, device, baseline),
                             launched ? concat("<h2>Launches, ", escape(device), "</h2>\n",
                                               launch_table(table, device))
                                      : "")
                    : concat(
                          "<p class=\"note\">No time was measured. Counts are a simulator's, of the inputs "
                          "that stand beside "
                          "them; floors are by ",
                          escape(ceilings_of(table, device).source), ".</p>\n", launch_table(table, device));
  }
  body += (roofs.empty() ? "" : "<h2>Beside what the machine can do</h2>\n" + roofs) +
          ladders(table, baseline) + history(files) + tables + machine(table);
  return report::page("Kernels in " + table.dtype, body, "[]");
}

}  // namespace galvan
