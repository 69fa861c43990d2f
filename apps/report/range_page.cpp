#include "apps/report/range_page.h"

#include <algorithm>
#include <cmath>

#include "apps/report/figure.h"
#include "apps/report/page.h"
#include "apps/report/run_facts.h"
#include "apps/text_format.h"
#include "core/check.h"
#include "models/files.h"

namespace galvan::report {
namespace {

std::optional<double> number(const Run& run, const std::string& option) {
  const auto value = run.option(option);
  if (!value) return {};
  if (const auto* whole = std::get_if<int64_t>(&*value)) return static_cast<double>(*whole);
  const auto* real = std::get_if<double>(&*value);
  return real ? std::optional(*real) : std::nullopt;
}

std::string overview(const RangeFolder& found) {
  if (!found.schedule)
    return "<p class=\"lead\">No schedule came of it: the loss falls nowhere in the test of the learning "
           "rate, or in "
           "one after it.</p>\n";
  std::string html = "<dl class=\"facts\">\n";
  const auto tile = [&](const char* what, std::optional<double> value, const std::string& more) {
    if (value)
      html += concat("<div><dt>", what, "</dt><dd>", printed("%.3g", *value), "</dd>",
                     more.empty() ? "" : "<dd><small>" + more + "</small></dd>", "</div>\n");
  };
  tile("Highest learning rate", number(found.run, "max-lr"), "at the tops of cycles");
  tile("Lowest learning rate", number(found.run, "base-lr"), "at their feet");
  if (!found.schedule->momentum.empty()) {
    tile("Lowest momentum", number(found.run, "base-momentum"), "at the tops");
    tile("Highest momentum", number(found.run, "max-momentum"), "at the feet");
  }
  tile("Weight decay", number(found.run, "weight-decay"), "");
  tile("Cycles", number(found.run, "cycles"),
       concat("in ", with_commas(static_cast<int64_t>(number(found.run, "steps").value_or(0))), " steps"));
  return html + "</dl>\n";
}

// The median over the band of the seeds.
Figure curve_of(const RangeTest& test, size_t which) {
  const RangeBand& band = test.band;
  const bool several = test.seeds.size() > 1;
  Curve curve{.name = several ? concat("median of ", test.seeds.size(), " seeds") : "smoothed loss",
              .x = band.values,
              .y = band.median,
              .colour = which};
  Figure figure{.id = concat("test-", which),
                .title = "Loss against " + test.name,
                .unit = "training loss, smoothed",
                .x_label = test.name,
                .log_x = test.options.sweep == Sweep::exponential};
  if (several && !band.median.empty()) {
    // A seed that runs away would leave no room for the others.
    const double most = 1.1 * *std::max_element(band.median.begin(), band.median.end());
    curve.low = band.lowest;
    curve.high = band.highest;
    for (double& loss : curve.high) loss = std::min(loss, most);
    figure.note = concat("Over a band from the lowest to the highest seed",
                         *std::max_element(curve.high.begin(), curve.high.end()) == most
                             ? ", cut off where one runs away."
                             : ".");
  }
  figure.curves.push_back(std::move(curve));
  for (const auto& [name, value] : listed(test.found))
    if (value) figure.marks.push_back({*value, name});
  return figure;
}

std::string findings_table(const std::vector<RangeTest>& tests) {
  std::string html = "<div class=\"wide\"><table><thead><tr><th>learning</th>", rows;
  for (const RangeTest& test : tests) html += "<th>" + escape(test.name) + "</th>";
  const std::pair<const char*, std::optional<double> RangeFindings::*> findings[] = {
      {"starts", &RangeFindings::starts},
      {"is steepest", &RangeFindings::steepest},
      {"slows", &RangeFindings::slows},
      {"loss is lowest", &RangeFindings::lowest},
      {"turns ragged", &RangeFindings::ragged}};
  for (const auto& [what, member] : findings) {
    rows += concat("<tr><th>", what, "</th>");
    for (const RangeTest& test : tests) {
      const std::optional<double> value = test.found.*member;
      rows += "<td>" + (value ? printed("%.3g", *value) : std::string("nowhere in the test")) + "</td>";
    }
    rows += "</tr>\n";
  }
  return html + "</tr></thead><tbody>\n" + rows + "</tbody></table></div>\n";
}

std::string schedule_figures(const ScheduleCurve& schedule) {
  Curve lr = pieces(schedule.step, schedule.lr);
  std::string html =
      to_html({.id = "lr", .title = "Learning rate", .x_label = "step", .curves = {lr}, .from_zero = true});
  if (schedule.momentum.empty()) return html;
  Curve momentum = pieces(schedule.step, schedule.momentum);
  momentum.colour = 1;
  return html + to_html({.id = "momentum", .title = "Momentum", .x_label = "step", .curves = {momentum}});
}

}  // namespace

std::string range_page(const RangeFolder& found) {
  const std::string title = "Range tests " + found.run.name;
  std::string body = concat("<h1>", escape(title), "</h1>\n", overview(found),
                            "<h2>What the loss says</h2>\n", findings_table(found.tests));
  for (size_t i = 0; i < found.tests.size(); ++i) body += to_html(curve_of(found.tests[i], i));
  if (found.schedule) body += "<h2>The schedule</h2>\n" + schedule_figures(*found.schedule);
  body += configuration({found.run}) + commands_and_machines({found.run});
  return page(title, body, "[]");
}

void write_range_report(const std::filesystem::path& folder) {
  write_file_atomically(folder / "report.html", range_page(read_range_tests(folder)));
}

}  // namespace galvan::report
