#include <algorithm>
#include <cmath>
#include <cstdio>
#include <sstream>

#include "apps/charts/axis.h"
#include "apps/charts/charts.h"
#include "apps/charts/polyline.h"
#include "apps/charts/text.h"
#include "core/check.h"

namespace galvan::charts {
namespace {

// Each has a contrast of 3 to 6 with white and with the usual dark grounds.
constexpr const char* kCurves[] = {"#2f7ff0", "#d9730d", "#2a9d4a", "#e0474c", "#9b5de5", "#1492a8"};
constexpr const char* kInk = "#727b85";  // text and axes; the grid is the same, fainter
constexpr const char* kAxis = "stroke=\"#727b85\" stroke-opacity=\"0.7\"";
constexpr const char* kGrid = "stroke=\"#727b85\" stroke-opacity=\"0.22\"";

constexpr const char* kMark = "stroke=\"#727b85\" stroke-opacity=\"0.7\" stroke-dasharray=\"3 4\"";

constexpr double kFont = 12, kTitleFont = 14, kCharacter = 0.62;  // a character's mean width, in font sizes
constexpr double kColumn = 1.0, kTolerance = 0.1;                 // pixels within which points are one

struct Box {
  double left, top, right, bottom;
};

const char* colour_of(const Chart& chart, size_t i) {
  const int colour = chart.series[i].colour;
  return kCurves[(colour < 0 ? i : static_cast<size_t>(colour)) % std::size(kCurves)];
}

double text_width(const std::string& text, double font) { return kCharacter * font * display_width(text); }

// A coordinate, to a tenth of a pixel: 12, 12.5
std::string px(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f", value);
  std::string out = text;
  if (out.ends_with(".0")) out.resize(out.size() - 2);
  return out == "-0" ? "0" : out;
}

void text(std::ostream& out, double x, double y, const char* anchor, const std::string& words,
          const char* more = "") {
  if (words.empty()) return;
  out << "<text x=\"" << px(x) << "\" y=\"" << px(y) << "\" text-anchor=\"" << anchor << "\"" << more << ">"
      << escape_xml(words) << "</text>\n";
}

void line(std::ostream& out, double x1, double y1, double x2, double y2, const char* more) {
  out << "<line x1=\"" << px(x1) << "\" y1=\"" << px(y1) << "\" x2=\"" << px(x2) << "\" y2=\"" << px(y2)
      << "\" " << more << "/>\n";
}

// The legend's entries, right-aligned above the panel.
void legend(std::ostream& out, const Chart& chart, const Box& box, double baseline) {
  constexpr double kSwatch = 16, kGap = 14;
  double x = box.right;
  for (size_t i = chart.series.size(); i-- > 0;) {
    const std::string& name = chart.series[i].name;
    if (name.empty()) continue;
    const double left = x - text_width(name, kFont) - kSwatch - 5;
    line(out, left, baseline - 4, left + kSwatch, baseline - 4,
         concat("stroke=\"", colour_of(chart, i), "\" stroke-width=\"2.5\"").c_str());
    text(out, left + kSwatch + 5, baseline, "start", name);
    x = left - kGap;
  }
}

double legend_width(const Chart& chart) {
  double width = 0;
  for (const Series& series : chart.series)
    if (!series.name.empty()) width += text_width(series.name, kFont) + 35;
  return width;
}

void curve(std::ostream& out, const Series& series, const Axes& axes, const Box& box, const char* colour) {
  std::string path, dots;
  for (Polyline& points : polylines(series, axes)) {
    for (Point& p : points) {
      p.x = box.left + p.x * (box.right - box.left);
      p.y = box.bottom - p.y * (box.bottom - box.top);
    }
    const Polyline thinned = series.dots ? points : thin(points, kColumn, kTolerance);
    if (thinned.size() == 1 || series.dots)
      for (const Point& p : thinned)
        dots +=
            concat("<circle cx=\"", px(p.x), "\" cy=\"", px(p.y), "\" r=\"2.5\" fill=\"", colour, "\"/>\n");
    else
      for (size_t i = 0; i < thinned.size(); ++i)
        path += concat(i == 0 ? "M" : i == 1 ? "L" : " ", px(thinned[i].x), ",", px(thinned[i].y));
  }
  if (!path.empty())
    out << "<path d=\"" << path << "\" fill=\"none\" stroke=\"" << colour
        << "\" stroke-width=\"1.75\" stroke-linejoin=\"round\" stroke-linecap=\"round\"/>\n";
  out << dots;
}

void panel(std::ostream& out, const Chart& chart, const Axes& axes, const Box& box, double top) {
  const bool crowded = text_width(chart.title, kTitleFont) + legend_width(chart) > box.right - 4;
  double baseline = top + 20;
  text(out, 8, baseline, "start", chart.title, " font-size=\"14\" font-weight=\"600\"");
  if (crowded && !chart.title.empty()) baseline += 18;
  legend(out, chart, box, baseline);
  text(out, 8, box.top - 14, "start", chart.y_label);

  for (const Tick& tick : axes.y.ticks()) {
    const double y = box.bottom - tick.at * (box.bottom - box.top);
    line(out, box.left, y, box.right, y, kGrid);
    text(out, box.left - 8, y + 4, "end", tick.label);
  }
  for (const Tick& tick : axes.x.ticks()) {
    const double x = box.left + tick.at * (box.right - box.left);
    line(out, x, box.bottom, x, box.bottom + 5, kAxis);
    text(out, x, box.bottom + 19, "middle", tick.label);
  }
  line(out, box.left, box.bottom, box.right, box.bottom, kAxis);
  text(out, (box.left + box.right) / 2, box.bottom + 37, "middle", chart.x_label);

  std::vector<double> rows;  // how far to the right each row of the marks' labels is taken
  for (const Mark& mark : chart.marks) {
    if (!axes.x.shows(mark.x)) continue;
    const double at = axes.x.at(mark.x), x = box.left + at * (box.right - box.left);
    if (at < 0 || at > 1) continue;
    line(out, x, box.top, x, box.bottom, kMark);
    if (mark.label.empty()) continue;
    const double width = text_width(mark.label, kFont), left = at < 0.8 ? x + 4 : x - 4 - width;
    const auto row = std::find_if(rows.begin(), rows.end(), [&](double taken) { return taken <= left; });
    text(out, at < 0.8 ? x + 4 : x - 4, box.top + 12 + 13 * static_cast<double>(row - rows.begin()),
         at < 0.8 ? "start" : "end", mark.label);
    if (row == rows.end())
      rows.push_back(left + width);
    else
      *row = left + width;
  }
  for (size_t i = 0; i < chart.series.size(); ++i)
    curve(out, chart.series[i], axes, box, colour_of(chart, i));
}

}  // namespace

std::string to_svg(const Chart& chart, const SvgStyle& style) {
  return to_svg(std::vector<Chart>{chart}, style);
}

std::string to_svg(const std::vector<Chart>& panels, const SvgStyle& style) {
  check(style.width >= 200 && style.height >= 120, "to_svg: ", style.width, " x ", style.height,
        " pixels are too few, take at least 200 x 120");
  std::vector<Axes> axes;
  double left = 30;
  for (const Chart& chart : panels) {
    axes.push_back(axes_of(chart, style.width / 90, std::clamp(style.height / 55, 2, 10)));
    for (const Tick& tick : axes.back().y.ticks()) left = std::max(left, text_width(tick.label, kFont) + 20);
  }

  const size_t height = static_cast<size_t>(style.height) * panels.size();
  std::ostringstream out;
  out << "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"" << style.width << "\" height=\"" << height
      << "\" viewBox=\"0 0 " << style.width << " " << height << "\" role=\"img\" aria-label=\""
      << escape_xml(panels.empty() ? "" : panels[0].title) << "\">\n"
      << "<g font-family=\"system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif\" "
         "font-size=\"12\" fill=\""
      << kInk << "\">\n";
  for (size_t i = 0; i < panels.size(); ++i) {
    const Chart& chart = panels[i];
    const double top = static_cast<double>(style.height) * static_cast<double>(i);
    const bool crowded =
        !chart.title.empty() && text_width(chart.title, kTitleFont) + legend_width(chart) > style.width - 24;
    const bool heading = !chart.title.empty() || legend_width(chart) > 0;
    const Box box{
        .left = left,
        .top = top + 14 + (heading ? 20 : 0) + (crowded ? 18 : 0) + (chart.y_label.empty() ? 0 : 22),
        .right = style.width - 20.0,
        .bottom = top + style.height - (chart.x_label.empty() ? 28 : 46)};
    panel(out, chart, axes[i], box, top);
  }
  out << "</g>\n</svg>\n";
  return out.str();
}

}  // namespace galvan::charts
