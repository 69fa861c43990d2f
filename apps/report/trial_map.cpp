#include "apps/report/trial_map.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "apps/charts/text.h"
#include "apps/report/figure.h"
#include "apps/text_format.h"
#include "core/check.h"

namespace galvan::report {
namespace {

constexpr int kLevels = 8;      // of colour, .v0 to .v7 in report.css
constexpr double kWidth = 0.1;  // of the Gaussian

int level_of(double good) { return std::min(kLevels - 1, static_cast<int>(good * kLevels)); }

std::string px(double value) { return printed("%.1f", value); }

std::string text(double x, double y, const char* anchor, const std::string& words) {
  return concat("<text x=\"", px(x), "\" y=\"", px(y), "\" text-anchor=\"", anchor, "\">", escape(words),
                "</text>\n");
}

std::string open_svg(int width, int height, const std::string& title) {
  return concat("<svg viewBox=\"0 0 ", width, " ", height, "\" width=\"", width, "\" height=\"", height,
                "\" font-size=\"12\" role=\"img\"><title>", escape(title), "</title>\n");
}

}  // namespace

std::string value_text(const StudyParameter& parameter, const std::optional<double>& value) {
  if (!value) return "-";
  if (parameter.choices.empty()) return figure_text(*value);
  return parameter.choices.at(static_cast<size_t>(*value));
}

std::string describe(const StudyData& study, const TrialData& trial) {
  std::string words = concat("trial ", trial.number, ", ", name(trial.state));
  if (trial.value) words += ": " + figure_text(*trial.value);
  for (size_t p = 0; p < study.parameters.size(); ++p)
    if (trial.parameters[p])
      words += concat(p == 0 ? "; " : ", ", study.parameters[p].name, " ",
                      value_text(study.parameters[p], trial.parameters[p]));
  return trial.reason.empty() ? words : words + "; " + trial.reason;
}

std::vector<std::optional<double>> goodness(const StudyData& study) {
  std::vector<double> values;
  const auto cost = [&](const TrialData& trial) {
    return study.less_is_better ? *trial.value : -*trial.value;
  };
  for (const TrialData& trial : study.trials)
    if (trial.value) values.push_back(cost(trial));
  std::sort(values.begin(), values.end());
  std::vector<std::optional<double>> good;
  for (const TrialData& trial : study.trials) {
    good.emplace_back();
    if (!trial.value) continue;
    const auto better = std::lower_bound(values.begin(), values.end(), cost(trial)) - values.begin();
    good.back() =
        values.size() < 2 ? 1 : 1 - static_cast<double>(better) / static_cast<double>(values.size() - 1);
  }
  return good;
}

Scale::Scale(const StudyData& study, size_t parameter)
    : parameter_(study.parameters[parameter]), low_(INFINITY), high_(-INFINITY) {
  for (const TrialData& trial : study.trials)
    if (const auto& value = trial.parameters[parameter])
      low_ = std::min(low_, *value), high_ = std::max(high_, *value);
  if (low_ > high_) low_ = high_ = 1;
}

double Scale::at(double value) const {
  if (!parameter_.choices.empty()) return (value + 0.5) / static_cast<double>(parameter_.choices.size());
  if (high_ <= low_) return 0.5;
  return parameter_.logarithmic ? std::log(value / low_) / std::log(high_ / low_)
                                : (value - low_) / (high_ - low_);
}

std::vector<std::pair<double, std::string>> Scale::labels() const {
  std::vector<std::pair<double, std::string>> labels;
  for (size_t i = 0; i < parameter_.choices.size(); ++i)
    labels.emplace_back(at(static_cast<double>(i)), parameter_.choices[i]);
  if (labels.empty() && high_ <= low_) labels.emplace_back(0.5, printed("%.3g", low_));
  if (labels.empty()) labels = {{0, printed("%.3g", low_)}, {1, printed("%.3g", high_)}};
  return labels;
}

std::optional<double> mean_near(const std::vector<std::vector<double>>& at,
                                const std::vector<std::optional<double>>& good,
                                const std::vector<double>& place) {
  double sum = 0, weights = 0;
  for (size_t i = 0; i < at.size(); ++i) {
    if (at[i].empty() || !good[i]) continue;
    double distance2 = 0;
    for (size_t d = 0; d < place.size(); ++d) distance2 += (at[i][d] - place[d]) * (at[i][d] - place[d]);
    const double weight = std::exp(-distance2 / (2 * kWidth * kWidth));
    sum += weight * *good[i];
    weights += weight;
  }
  constexpr double kLeast = 0.011;  // one trial, three widths away
  return weights < kLeast ? std::nullopt : std::optional(sum / weights);
}

std::vector<size_t> by_sway(const StudyData& study) {
  const auto good = goodness(study);
  std::vector<double> sway;
  for (size_t p = 0; p < study.parameters.size(); ++p) {
    const Scale scale(study, p);
    std::vector<std::vector<double>> at;
    for (const TrialData& trial : study.trials)
      at.push_back(trial.parameters[p] ? std::vector{scale.at(*trial.parameters[p])} : std::vector<double>());
    double n = 0, sum = 0, squares = 0;
    for (const auto& place : at)
      if (const auto mean = place.empty() ? std::nullopt : mean_near(at, good, place))
        ++n, sum += *mean, squares += *mean * *mean;
    sway.push_back(n > 0 ? squares / n - sum / n * (sum / n) : 0);
  }
  std::vector<size_t> order(study.parameters.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return sway[a] > sway[b]; });
  return order;
}

std::string parallel_coordinates(const StudyData& study) {
  constexpr double kTop = 44, kBottom = 270, kAbsent = 292, kLeft = 60, kHeight = 310;
  const size_t n = study.parameters.size();
  const int width = std::max(640, static_cast<int>(150 * n + 120));
  const auto x_of = [&](size_t axis) {
    return kLeft +
           static_cast<double>(axis) * (width - 2 * kLeft) / static_cast<double>(std::max<size_t>(n, 1));
  };
  const auto y_of = [&](double place) { return kBottom - place * (kBottom - kTop); };
  std::string html = open_svg(width, static_cast<int>(kHeight), "Parallel coordinates of the trials");
  const auto axis = [&](double x, const std::string& title) {
    html += concat("<line class=\"axis\" x1=\"", px(x), "\" x2=\"", px(x), "\" y1=\"", px(kTop), "\" y2=\"",
                   px(kBottom), "\"/>\n", text(x, 18, "middle", charts::fit(title, 20)));
  };
  std::vector<Scale> scales;
  for (size_t p = 0; p < n; ++p) scales.emplace_back(study, p);
  const auto good = goodness(study);

  // The worst first, so that the best lie on top.
  std::vector<size_t> order;
  for (size_t i = 0; i < study.trials.size(); ++i)
    if (good[i]) order.push_back(i);
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return *good[a] < *good[b]; });
  std::vector<bool> any_absent(n, false);
  for (const size_t i : order) {
    const TrialData& trial = study.trials[i];
    std::string path;
    for (size_t p = 0; p < n; ++p) {
      const auto& value = trial.parameters[p];
      if (!value) any_absent[p] = true;
      path += concat(p == 0 ? "M" : "L", px(x_of(p)), ",", px(value ? y_of(scales[p].at(*value)) : kAbsent));
    }
    path += concat(n == 0 ? "M" : "L", px(x_of(n)), ",", px(y_of(*good[i])));
    html += concat("<path class=\"trial v", level_of(*good[i]), "\" d=\"", path, "\"><title>",
                   escape(describe(study, trial)), "</title></path>\n");
  }
  for (size_t p = 0; p < n; ++p) {
    axis(x_of(p), study.parameters[p].name);
    for (const auto& [place, label] : scales[p].labels())
      html += text(x_of(p) - 6, y_of(place) + 4, "end", charts::fit(label, 9));
    if (any_absent[p]) html += text(x_of(p) - 6, kAbsent + 4, "end", "absent");
  }
  axis(x_of(n), study.metric);
  if (!order.empty()) {
    html += text(x_of(n) + 6, y_of(1) + 4, "start", printed("%.4g", *study.trials[order.back()].value));
    html += text(x_of(n) + 6, y_of(0) + 4, "start", printed("%.4g", *study.trials[order.front()].value));
  }
  return html + "</svg>\n";
}

std::string contour(const StudyData& study, size_t across, size_t up) {
  constexpr double kLeft = 70, kTop = 12, kRight = 448, kBottom = 262;
  constexpr int kColumns = 54, kRows = 36;
  const Scale x(study, across), y(study, up);
  const auto x_of = [&](double place) { return kLeft + place * (kRight - kLeft); };
  const auto y_of = [&](double place) { return kBottom - place * (kBottom - kTop); };
  const auto good = goodness(study);
  std::vector<std::vector<double>> at;
  for (const TrialData& trial : study.trials) {
    const auto &a = trial.parameters[across], &b = trial.parameters[up];
    at.push_back(a && b ? std::vector{x.at(*a), y.at(*b)} : std::vector<double>());
  }
  std::string html = open_svg(
      460, 310, concat("Trials by ", study.parameters[across].name, " and ", study.parameters[up].name));
  // Cells of one colour beside each other are one rectangle.
  for (int row = 0; row < kRows; ++row) {
    const auto level = [&](int column) {
      const auto mean = mean_near(at, good, {(column + 0.5) / kColumns, (row + 0.5) / kRows});
      return mean ? level_of(*mean) : -1;
    };
    for (int begin = 0, end; begin < kColumns; begin = end) {
      const int here = level(begin);
      for (end = begin + 1; end < kColumns && level(end) == here;) ++end;
      if (here < 0) continue;
      html += concat("<rect class=\"v", here, "\" x=\"", px(x_of(1.0 * begin / kColumns)), "\" y=\"",
                     px(y_of((row + 1.0) / kRows)), "\" width=\"",
                     px((kRight - kLeft) * (end - begin) / kColumns + 0.3), "\" height=\"",
                     px((kBottom - kTop) / kRows + 0.3), "\"/>\n");
    }
  }
  for (size_t i = 0; i < at.size(); ++i) {
    if (at[i].empty()) continue;
    html += concat("<circle class=\"place ", name(study.trials[i].state), "\" cx=\"", px(x_of(at[i][0])),
                   "\" cy=\"", px(y_of(at[i][1])), "\" r=\"", good[i] == 1.0 ? 6 : 3.5, "\"><title>",
                   escape(describe(study, study.trials[i])), "</title></circle>\n");
  }
  for (const auto& [place, label] : x.labels())
    html += text(x_of(place), kBottom + 17,
                 place == 0   ? "start"
                 : place == 1 ? "end"
                              : "middle",
                 charts::fit(label, 12));
  for (const auto& [place, label] : y.labels())
    html += text(kLeft - 6, y_of(place) + (place == 1 ? 10 : 4), "end", charts::fit(label, 9));
  html += text((kLeft + kRight) / 2, kBottom + 38, "middle", study.parameters[across].name);
  return html + text(6, kTop + (kBottom - kTop) / 2, "start", charts::fit(study.parameters[up].name, 9)) +
         "</svg>\n";
}

}  // namespace galvan::report
