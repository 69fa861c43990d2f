#include "apps/report/figure.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "apps/charts/charts.h"
#include "apps/charts/polyline.h"
#include "apps/charts/text.h"
#include "apps/text_format.h"
#include "core/check.h"

namespace galvan::report {
namespace {

constexpr size_t kTableRows = 12;

std::string quoted(const std::string& text) {
  return nlohmann::json(text).dump(-1, ' ', true, nlohmann::json::error_handler_t::replace);
}

std::string json_list(const std::vector<double>& values) {
  std::string text;
  for (const double value : values) text += (text.empty() ? "" : ",") + json_number(value);
  return "[" + text + "]";
}

std::string json_list(const std::vector<std::string>& texts) {
  std::string list;
  for (const std::string& text : texts) list += (list.empty() ? "" : ",") + quoted(text);
  return "[" + list + "]";
}

std::string json_list(const std::vector<Mark>& marks) {
  std::string text;
  for (const Mark& mark : marks)
    text += concat(text.empty() ? "" : ",", "[", json_number(mark.at), ",", quoted(mark.label), "]");
  return "[" + text + "]";
}

const char* style_name(CurveStyle style) {
  switch (style) {
    case CurveStyle::line:
      return "line";
    case CurveStyle::dotted:
      return "dotted";
    case CurveStyle::dots:
      return "dots";
    case CurveStyle::steps:
      return "steps";
  }
  return "";
}

std::string to_json(const Figure& figure) {
  std::string curves;
  for (const Curve& c : figure.curves) {
    curves += concat(curves.empty() ? "" : ",\n", "{\"name\":", quoted(c.name), ",\"colour\":", c.colour,
                     ",\"style\":\"", style_name(c.style), "\",\"noisy\":", c.noisy ? "true" : "false",
                     ",\"run\":", c.run, ",\"x\":", json_list(c.x), ",\"y\":", json_list(c.y));
    if (!c.low.empty()) curves += concat(",\"low\":", json_list(c.low), ",\"high\":", json_list(c.high));
    if (!c.words.empty()) curves += ",\"words\":" + json_list(c.words);
    curves += "}";
  }
  return concat("{\"xLabel\":", quoted(figure.x_label), ",\"unit\":", quoted(figure.unit),
                ",\"logX\":", figure.log_x ? "true" : "false", ",\"logY\":", figure.log_y ? "true" : "false",
                ",\"fromZero\":", figure.from_zero ? "true" : "false", ",\"marks\":", json_list(figure.marks),
                ",\"levels\":", json_list(figure.levels), ",\"xNames\":", json_list(figure.x_names),
                ",\n\"curves\":[", curves, "]}");
}

std::string static_chart(const Figure& figure) {
  charts::Chart chart{.x_label = figure.x_label, .log_x = figure.log_x, .log_y = figure.log_y};
  for (const Curve& c : figure.curves) {
    charts::Series series{.x = c.x, .y = c.y, .colour = static_cast<int>(c.colour)};
    series.dots = c.style == CurveStyle::dots;
    if (c.style == CurveStyle::steps) {
      series.x.clear();
      series.y.clear();
      for (size_t i = 0; i < c.x.size(); ++i) {
        if (i > 0) series.x.push_back(c.x[i]), series.y.push_back(c.y[i - 1]);
        series.x.push_back(c.x[i]), series.y.push_back(c.y[i]);
      }
    }
    chart.series.push_back(std::move(series));
  }
  for (const Mark& mark : figure.marks) chart.marks.push_back({mark.at, mark.label});
  return charts::to_svg(chart, {.width = figure.small ? 420 : 720, .height = figure.small ? 240 : 260});
}

std::string legend(const Figure& figure) {
  std::string items;
  for (size_t i = 0; i < figure.curves.size(); ++i) {
    const Curve& c = figure.curves[i];
    const auto same = [&](const Curve& other) { return other.name == c.name; };
    if (c.name.empty() ||
        std::find_if(figure.curves.begin(), figure.curves.end(), same) - figure.curves.begin() <
            static_cast<std::ptrdiff_t>(i))
      continue;
    const bool alone = std::count_if(figure.curves.begin(), figure.curves.end(), same) == 1;
    const std::string last =
        !alone || c.y.empty() || c.style == CurveStyle::dots ? "" : figure_text(c.y.back());
    items += concat("<li><button type=\"button\" data-name=\"", escape(c.name),
                    "\" aria-pressed=\"true\"><i class=\"k c", c.colour % 6,
                    c.style == CurveStyle::dots ? " dot" : "", "\"></i>", escape(c.name), " <b>", last,
                    "</b></button></li>");
  }
  return items.empty() ? "" : "<ul class=\"legend\">" + items + "</ul>\n";
}

// Some values of each curve, evenly spread, the first and the last among them.
std::string table(const Figure& figure) {
  std::string html = "<details><summary>Figures</summary><div class=\"wide\">";
  for (const Curve& c : figure.curves) {
    if (c.x.empty()) continue;
    const bool range = !c.low.empty(), words = !c.words.empty();
    html += concat("<table><caption>", escape(c.name.empty() ? figure.title : c.name),
                   "</caption><thead><tr><th>", escape(figure.x_label), "</th><th>", range ? "mean" : "value",
                   "</th>", range ? "<th>lowest</th><th>highest</th>" : "", words ? "<th>point</th>" : "",
                   "</tr></thead><tbody>");
    const size_t rows = std::min(kTableRows, c.x.size());
    for (size_t row = 0; row < rows; ++row) {
      const size_t i = rows == 1 ? 0 : row * (c.x.size() - 1) / (rows - 1);
      const auto choice = static_cast<size_t>(std::max(0.0, c.x[i]));
      html +=
          concat("<tr><td>",
                 figure.x_names.empty() ? figure_text(c.x[i])
                                        : escape(figure.x_names[std::min(choice, figure.x_names.size() - 1)]),
                 "</td><td>", figure_text(c.y[i]), "</td>");
      if (range) html += concat("<td>", figure_text(c.low[i]), "</td><td>", figure_text(c.high[i]), "</td>");
      html += concat(words ? "<td>" + escape(c.words[i]) + "</td>" : "", "</tr>");
    }
    html += "</tbody></table>";
  }
  return html + "</div></details>\n";
}

}  // namespace

std::string figure_text(double value) {
  if (!std::isfinite(value)) return "-";
  if (value == std::floor(value) && std::abs(value) >= 1e4 && std::abs(value) < 1e15)
    return with_commas(static_cast<int64_t>(value));
  return printed("%.6g", value);
}

std::string json_number(double value) {
  if (!std::isfinite(value)) return "null";
  return value == std::floor(value) && std::abs(value) < 1e15 ? printed("%.0f", value)
                                                              : printed("%.6g", value);
}

std::string escape(const std::string& text) {
  std::string html;
  for (size_t begin = 0;;) {
    const size_t end = text.find('\n', begin);
    html += charts::escape_xml(text.substr(begin, end - begin));
    if (end == std::string::npos) return html;
    html += '\n';
    begin = end + 1;
  }
}

std::string script_json(const std::string& json) {
  std::string safe;  // "</script" and "<!--" would end the element, or change how it is read
  for (const char c : json) safe += c == '<' ? std::string("\\u003c") : std::string(1, c);
  return safe;
}

Curve thinned(const std::vector<double>& x, const std::vector<double>& y, size_t most) {
  Curve all;
  for (size_t i = 0; i < y.size(); ++i)
    if (std::isfinite(x[i]) && std::isfinite(y[i])) all.x.push_back(x[i]), all.y.push_back(y[i]);
  const size_t n = all.y.size();
  if (n <= most) return all;
  Curve few;
  for (size_t bucket = 0; bucket < most; ++bucket) {
    const size_t begin = bucket * n / most, end = (bucket + 1) * n / most;
    const auto [low, high] = std::minmax_element(&all.y[begin], &all.y[end - 1] + 1);
    double sum = 0;
    for (size_t i = begin; i < end; ++i) sum += all.y[i] / static_cast<double>(end - begin);
    few.x.push_back(all.x[(begin + end - 1) / 2]);
    few.y.push_back(sum);
    few.low.push_back(*low);
    few.high.push_back(*high);
  }
  return few;
}

Curve pieces(const std::vector<double>& x, const std::vector<double>& y) {
  Curve curve;
  if (x.empty()) return curve;
  const auto [low, high] = std::minmax_element(y.begin(), y.end());
  const double left = x.front(), width = std::max(x.back() - left, 1e-300);
  const double bottom = *low, height = std::max(*high - bottom, 1e-300);
  charts::Polyline line;
  for (size_t i = 0; i < x.size(); ++i) line.push_back({(x[i] - left) / width, (y[i] - bottom) / height});
  for (const charts::Point& p : charts::thin(line, 1e-3, 2e-4)) {
    curve.x.push_back(left + p.x * width);
    curve.y.push_back(bottom + p.y * height);
  }
  return curve;
}

std::string to_html(const Figure& figure) {
  return concat(
      "<figure id=\"", figure.id, "\" class=\"chart", figure.small ? " small" : "", "\">\n<figcaption><h3>",
      escape(figure.title), "</h3><span class=\"unit\">", escape(figure.unit),
      "</span><span class=\"readout\"></span><label class=\"js\"><input type=\"checkbox\" class=\"log\"",
      figure.log_y ? " checked" : "", "> log</label></figcaption>\n",
      figure.note.empty() ? "" : "<p class=\"note\">" + escape(figure.note) + "</p>\n", legend(figure),
      "<div class=\"plot\">", static_chart(figure), "</div>\n<script type=\"application/json\">",
      script_json(to_json(figure)), "</script>\n", table(figure), "</figure>\n");
}

}  // namespace galvan::report
