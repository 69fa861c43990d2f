#include "apps/report/study_page.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "apps/report/figure.h"
#include "apps/report/page.h"
#include "apps/report/trial_map.h"
#include "apps/text_format.h"
#include "core/check.h"

namespace galvan::report {
namespace {

constexpr size_t kMostParameters = 5;  // of which every two have a contour
constexpr size_t kMostRows = 200;      // of the table of trials
constexpr TrialState kStates[] = {TrialState::finished, TrialState::pruned, TrialState::diverged,
                                  TrialState::failed, TrialState::running};

size_t colour_of(TrialState state) {
  return state == TrialState::finished ? 0 : state == TrialState::pruned ? 1 : 3;
}

// Of those that finished: the value of another is not of a whole training.
const TrialData* best_trial(const StudyData& study) {
  const auto good = goodness(study);
  const TrialData* best = nullptr;
  double highest = -1;
  for (size_t i = 0; i < good.size(); ++i)
    if (study.trials[i].state == TrialState::finished && good[i].value_or(-1) > highest) {
      highest = *good[i];
      best = &study.trials[i];
    }
  return best;
}

// The trials that have a value as dots, a colour for each way to end; `x` gives a trial's place, or none.
template <class X>
std::vector<Curve> dots(const StudyData& study, const X& x) {
  std::vector<Curve> curves;
  for (const TrialState state : kStates) {
    Curve curve{.name = name(state), .style = CurveStyle::dots, .colour = colour_of(state)};
    for (const TrialData& trial : study.trials) {
      const std::optional<double> place = x(trial);
      if (trial.state != state || !trial.value || !place) continue;
      curve.x.push_back(*place);
      curve.y.push_back(*trial.value);
      curve.words.push_back(describe(study, trial));
    }
    if (!curve.x.empty()) curves.push_back(std::move(curve));
  }
  return curves;
}

Figure history(const StudyData& study) {
  Figure figure{
      .id = "history",
      .title = "The search as it went on",
      .unit = study.metric,
      .x_label = "trial",
      .curves = dots(study, [](const TrialData& t) { return std::optional(static_cast<double>(t.number)); })};
  Curve best{.name = "best so far", .style = CurveStyle::steps, .colour = 2};
  for (const TrialData& trial : study.trials) {
    if (!trial.value || trial.state != TrialState::finished) continue;
    const double value = *trial.value;
    const bool better =
        best.y.empty() || (study.less_is_better ? value < best.y.back() : value > best.y.back());
    best.x.push_back(static_cast<double>(trial.number));
    best.y.push_back(better ? value : best.y.back());
  }
  if (!best.x.empty()) {  // what is best holds up to the last trial, however that ended
    best.x.push_back(std::max(best.x.back() + 1, static_cast<double>(study.trials.back().number)));
    best.y.push_back(best.y.back());
    figure.curves.push_back(std::move(best));
  }
  return figure;
}

Figure slice(const StudyData& study, size_t parameter) {
  const StudyParameter& p = study.parameters[parameter];
  return {.id = concat("slice-", parameter),
          .title = p.name,
          .unit = study.metric,
          .x_label = p.name,
          .curves = dots(study, [&](const TrialData& t) { return t.parameters[parameter]; }),
          .x_names = p.choices,
          .log_x = p.logarithmic,
          .small = true};
}

// Every trial's metric as it went on, those that were pruned with a dot where they ended.
Figure pruning(const StudyData& study) {
  Figure figure{.id = "pruning",
                .title = "Trials as they went on",
                .unit = study.curve_metric.empty() ? study.metric : study.curve_metric,
                .note = "A dot: where a trial was pruned, diverged or failed."};
  Curve ends{.name = "pruned, diverged or failed there", .style = CurveStyle::dots, .colour = 1};
  const TrialData* best = best_trial(study);
  for (const TrialData& trial : study.trials) {
    if (trial.steps.empty()) continue;
    Curve curve = thinned(trial.steps, trial.values, 100);
    curve.low.clear();
    curve.high.clear();
    if (curve.x.empty()) continue;
    curve.name = &trial == best ? concat("the best, trial ", trial.number) : name(trial.state);
    curve.colour = &trial == best ? 2 : colour_of(trial.state);
    if (trial.state != TrialState::finished && trial.state != TrialState::running) {
      ends.x.push_back(curve.x.back());
      ends.y.push_back(curve.y.back());
      ends.words.push_back(describe(study, trial));
    }
    figure.curves.push_back(std::move(curve));
  }
  if (!ends.x.empty()) figure.curves.push_back(std::move(ends));
  return figure;
}

std::string contours(const StudyData& study) {
  std::vector<size_t> order = by_sway(study);
  order.resize(std::min(order.size(), kMostParameters));
  std::string options, drawings;
  for (size_t i = 0; i < order.size(); ++i)
    for (size_t j = i + 1; j < order.size(); ++j) {
      const std::string key = concat(order[i], "-", order[j]);
      options += concat("<option value=\"", key, "\">", escape(study.parameters[order[i]].name), " and ",
                        escape(study.parameters[order[j]].name), "</option>");
      drawings += concat("<div class=\"drawing\" data-pair=\"", key, "\">",
                         contour(study, order[i], order[j]), "</div>\n");
    }
  if (drawings.empty()) return "";
  return concat(
      "<figure id=\"contours\"><figcaption><h3>Two parameters at a time</h3></figcaption>\n"
      "<p class=\"note\">The stronger the colour, the better the trials nearby, by their rank (a Gaussian "
      "mean "
      "of a tenth of the range). The large dot is the best.</p>\n"
      "<p class=\"js\"><label>Parameters <select id=\"pair\">",
      options, "</select></label></p>\n<div class=\"pairs\">", drawings, "</div></figure>\n");
}

std::string overview(const StudyData& study) {
  std::array<int, std::size(kStates)> counts{};
  for (const TrialData& trial : study.trials)
    ++counts[static_cast<size_t>(std::find(kStates, std::end(kStates), trial.state) - kStates)];
  std::string html = "<dl class=\"facts\">\n";
  const auto tile = [&](const std::string& what, const std::string& value, const std::string& more = "") {
    html += concat("<div><dt>", escape(what), "</dt><dd>", escape(value),
                   more.empty() ? "" : "<small>" + escape(more) + "</small>", "</dd></div>\n");
  };
  const TrialData* best = best_trial(study);
  if (best != nullptr)
    tile("Best " + study.metric, printed("%.5g", *best->value), concat("trial ", best->number));
  tile("Trials", std::to_string(study.trials.size()));
  for (size_t i = 0; i < counts.size(); ++i)
    if (counts[i] > 0)
      tile(concat(static_cast<char>(std::toupper(name(kStates[i])[0])), name(kStates[i]) + 1),
           std::to_string(counts[i]));
  html += "</dl>\n";
  if (best == nullptr) return html + "<p>No trial has finished with a value yet.</p>\n";
  html += concat("<p class=\"lead\">The best: ", escape(describe(study, *best)), "</p>\n");
  if (!study.best_command.empty())
    html += "<p>To train it again:</p><pre>" + escape(study.best_command) + "</pre>\n";
  return html;
}

// The best first, then those without a value.
std::string trial_table(const StudyData& study) {
  const auto good = goodness(study);
  std::vector<size_t> order(study.trials.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return good[a].value_or(-1) > good[b].value_or(-1); });
  std::string html = "<h2>Trials</h2>\n<div class=\"wide\"><table><thead><tr><th>trial</th><th>" +
                     escape(study.metric) + "</th>";
  for (const StudyParameter& p : study.parameters) html += "<th>" + escape(p.name) + "</th>";
  html += "<th>state</th></tr></thead><tbody>\n";
  for (size_t row = 0; row < std::min(order.size(), kMostRows); ++row) {
    const TrialData& trial = study.trials[order[row]];
    html +=
        concat("<tr><td>", trial.number, "</td><td>", trial.value ? figure_text(*trial.value) : "-", "</td>");
    for (size_t p = 0; p < study.parameters.size(); ++p)
      html += "<td>" + escape(value_text(study.parameters[p], trial.parameters[p])) + "</td>";
    html += concat("<td>", name(trial.state), trial.reason.empty() ? "" : ": " + escape(trial.reason),
                   "</td></tr>\n");
  }
  html += "</tbody></table></div>\n";
  if (order.size() > kMostRows)
    html += concat("<p class=\"note\">The best ", kMostRows, " of ", order.size(), ".</p>\n");
  return html;
}

}  // namespace

std::string study_page(const StudyData& study) {
  for (const TrialData& trial : study.trials)
    check(trial.parameters.size() == study.parameters.size(), "report: trial ", trial.number, " has ",
          trial.parameters.size(), " values for ", study.parameters.size(), " parameters");
  std::string body = concat("<h1>Study ", escape(study.name), "</h1>\n", overview(study),
                            "<h2>The search</h2>\n", to_html(history(study)));
  if (Figure figure = pruning(study); !figure.curves.empty()) body += to_html(figure);
  body +=
      "<h2>The parameters</h2>\n<figure><figcaption><h3>Every trial, a line</h3></figcaption>\n"
      "<p class=\"note\">From its parameters to its rank; the stronger the colour, the better.</p>\n"
      "<div class=\"drawing parallel\">" +
      parallel_coordinates(study) + "</div></figure>\n";
  body += contours(study) + "<h3>One parameter at a time</h3>\n<div class=\"side\">\n";
  for (const size_t p : by_sway(study)) body += to_html(slice(study, p));
  body += "</div>\n" + trial_table(study);
  if (!study.facts.empty()) {
    body += "<h2>Study</h2>\n<div class=\"wide\"><table><tbody>";
    for (const auto& [what, value] : study.facts)
      body += "<tr><th>" + escape(what) + "</th><td class=\"wrap\">" + escape(value) + "</td></tr>\n";
    body += "</tbody></table></div>\n";
  }
  return page("Study " + study.name, body, "[]");
}

}  // namespace galvan::report
