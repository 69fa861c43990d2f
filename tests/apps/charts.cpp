// Charts as SVG and as characters: axes, curves, gaps, odd data, text.
#include "apps/charts/charts.h"

#include <doctest/doctest.h>
#include <algorithm>
#include <cmath>
#include <limits>
#include <sstream>

#include "apps/charts/axis.h"
#include "apps/charts/polyline.h"
#include "apps/charts/text.h"
#include "core/check.h"

using namespace galvan;
using namespace galvan::charts;

namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kMax = std::numeric_limits<double>::max();

int count(const std::string& text, const std::string& part) {
  int n = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++n;
  return n;
}

std::string labels(const Axis& axis) {
  std::string out;
  for (const Tick& tick : axis.ticks()) out += (out.empty() ? "" : " ") + tick.label;
  return out;
}

// Charts that have tripped charting code before.
std::vector<Chart> odd_charts() {
  std::vector<Chart> charts = {
      {},
      {.title = "no points", .x_label = "x", .y_label = "y", .series = {{.name = "none"}}},
      {.series = {{.y = {5}}}},
      {.series = {{.y = {0, 0, 0}}}},
      {.series = {{.y = {3e-5, 3e-5}}}},
      {.series = {{.y = {kNan, kInfinity, -kInfinity}}}},
      {.series = {{.x = {-kMax, kMax, 0}, .y = {kMax, -kMax, 3}}}},
      {.series = {{.x = {1, 1, 1}, .y = {1, 2, 3}}}},
      {.series = {{.y = {5e-324, 1e-310, 0}}}},
      {.series = {{.y = {1e18, 1e18 + 1024}}}},
      {.series = {{.y = {1, 1 + 1e-11, 1 + 2e-11}}}},
      {.title = std::string(300, 'w'), .series = {{.name = std::string(300, 'n'), .y = {1, 2}}}},
      {.title = "\xFF\x01<&>", .series = {{.name = "a\nb", .y = {1}}, {.name = "", .y = {2, 1}}}},
  };
  for (const std::vector<double>& y :
       {std::vector<double>{-1, 0, 7}, {5e-324, kMax}, {2.1, 2.2, 3.9}, {4, 4}, {}}) {
    charts.push_back({.series = {{.y = y}}, .log_x = true, .log_y = true});
    charts.push_back({.series = {{.y = y}}, .log_y = true});
  }
  return charts;
}

}  // namespace

TEST_CASE("ticks stand at round numbers") {
  CHECK(labels(Axis({0.001, 0.1}, false, true, 5)) == "0 0.02 0.04 0.06 0.08 0.10");
  CHECK(labels(Axis({0, 2999}, false, false, 6)) == "0 500 1000 1500 2000 2500 3000");
  CHECK(labels(Axis({-3, 4}, false, false, 4)) == "-2 0 2 4");
  CHECK(labels(Axis({0, 2}, false, false, 9)) == "0 1 2");  // no half steps
  CHECK(labels(Axis({0, 4e6}, false, true, 4)) == "0 1e6 2e6 3e6 4e6");
  CHECK(labels(Axis({1e-5, 2.5e-5}, false, true, 3)) == "1e-5 1.5e-5 2e-5 2.5e-5");
  CHECK(labels(Axis({7}, false, true, 3)) == "2 4 6 8 10 12");
  CHECK(labels(Axis({1e-7, 10}, true, true, 4)) == "1e-7 1e-5 0.001 0.1 10");
  CHECK(labels(Axis({1, 40}, true, false, 4)) == "1 2 5 10 20");
  CHECK(labels(Axis({2.1, 3.9}, true, true, 2)) == "2 3 4");
}

TEST_CASE("an axis places values and refuses what it cannot show") {
  const Axis linear({2, 10}, false, false, 4);
  CHECK(linear.at(2) == 0);
  CHECK(linear.at(4) == doctest::Approx(.25));
  CHECK(linear.at(10) == 1);
  CHECK_FALSE(linear.shows(kNan));
  CHECK_FALSE(linear.shows(-kInfinity));
  CHECK(linear.shows(-1));
  const Axis logarithmic({1, 100}, true, false, 4);
  CHECK(logarithmic.at(10) == doctest::Approx(.5));
  CHECK_FALSE(logarithmic.shows(0));
  CHECK_FALSE(logarithmic.shows(-1));
  CHECK(Axis({-kMax, kMax}, false, true, 4).at(0) == doctest::Approx(.5));
}

TEST_CASE("gaps split a curve") {
  const Series series{.y = {1, 2, kNan, 3, kInfinity, 4, 5}};
  const std::vector<Polyline> lines = polylines(series, axes_of({.series = {series}}, 4, 4));
  REQUIRE(lines.size() == 3);
  CHECK(lines[0].size() == 2);
  CHECK(lines[1].size() == 1);
  CHECK(lines[2].size() == 2);

  const std::string svg = to_svg(Chart{.series = {series}});
  CHECK(count(svg, "<path") == 1);
  CHECK(count(svg, "M") == 2);        // two lines
  CHECK(count(svg, "<circle") == 1);  // and a lone point
}

TEST_CASE("thinning keeps corners and spikes") {
  Polyline triangle;
  for (int i = 0; i <= 200; ++i) triangle.push_back({i * 3.0, i <= 100 ? i * 1.0 : 200.0 - i});
  CHECK(thin(triangle, 1, 0.1).size() == 3);

  Polyline flat;
  for (int i = 0; i < 100'000; ++i) flat.push_back({i * 0.005, i == 54'321 ? 50.0 : 1.0});
  const Polyline thinned = thin(flat, 1, 0.1);
  CHECK(thinned.size() < 10);
  CHECK(std::ranges::any_of(thinned, [](Point p) { return p.y == 50; }));
  CHECK(thinned.front().x == 0);
  CHECK(thinned.back().x == flat.back().x);

  // No point of a smooth curve is left farther from the line than the tolerance.
  Polyline wave;
  for (int i = 0; i < 700; ++i) wave.push_back({i * 1.0, 100 * std::sin(i / 50.0)});
  const Polyline kept = thin(wave, 1, 0.1);
  CHECK(kept.size() < 200);
  for (const Point& p : wave) {
    const auto right = std::ranges::find_if(kept, [&](Point q) { return q.x >= p.x; });
    if (right == kept.begin()) continue;
    const Point a = *(right - 1), b = *right;
    CHECK(std::abs(a.y + (b.y - a.y) * (p.x - a.x) / (b.x - a.x) - p.y) <= 0.1 * std::hypot(1, 2));
  }
}

TEST_CASE("SVG is one self-contained element with escaped text") {
  const std::string svg =
      to_svg(Chart{.title = "a < b & \"c\"",
                   .x_label = "step",
                   .y_label = "loss",
                   .series = {{.name = "<train>", .y = {3, 2, 1}}, {.name = "eval", .y = {3, 2.5}}}});
  CHECK(svg.starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"720\" height=\"320\""));
  CHECK(svg.ends_with("</svg>\n"));
  CHECK(count(svg, "a &lt; b &amp; &quot;c&quot;") == 2);  // the title, and for screen readers
  CHECK(count(svg, "&lt;train&gt;") == 1);
  CHECK(count(svg, "<path") == 2);
  CHECK(count(svg, "href") + count(svg, "<style") + count(svg, "<script") + count(svg, "url(") == 0);
  CHECK(count(svg, "\"#2f7ff0\"") == 2);  // a curve and its swatch
  CHECK(svg ==
        to_svg(Chart{.title = "a < b & \"c\"",
                     .x_label = "step",
                     .y_label = "loss",
                     .series = {{.name = "<train>", .y = {3, 2, 1}}, {.name = "eval", .y = {3, 2.5}}}}));
}

TEST_CASE("SVG puts points where they belong") {
  // The plot is 100 units high and starts beside the labels: both ends of the curve stand at its corners.
  const std::string svg =
      to_svg(Chart{.series = {{.x = {0, 4, 10}, .y = {0, 5, 10}}}}, {.width = 200, .height = 142});
  INFO(svg);
  CHECK(svg.find("d=\"M34.9,114L92.9,64 180,14\"") != std::string::npos);
}

TEST_CASE("panels stand one above the other with aligned axes") {
  const Chart narrow{.series = {{.y = {1, 2}}}}, wide{.series = {{.y = {100000, 200000}}}};
  const std::string svg = to_svg(std::vector<Chart>{narrow, wide}, {.height = 150});
  CHECK(svg.find("height=\"300\"") != std::string::npos);
  const size_t first = svg.find("<path d=\"M"), second = svg.find("<path d=\"M", first + 1);
  const auto left = [&](size_t at) { return svg.substr(at + 10, svg.find(',', at) - at - 10); };
  CHECK(left(first) == left(second));
}

TEST_CASE("a long noisy curve makes a small file") {
  Series series;
  uint32_t state = 1;
  for (int i = 0; i < 200'000; ++i) {
    state = state * 1664525u + 1013904223u;
    series.y.push_back(state >> 8);
  }
  CHECK(to_svg(Chart{.series = {series}}).size() < 60'000);
}

TEST_CASE("odd data give a chart all the same") {
  for (const Chart& chart : odd_charts()) {
    const std::string svg = to_svg(chart);
    CHECK(svg.ends_with("</svg>\n"));
    CHECK(count(svg, "nan") + count(svg, "inf") == 0);
    for (const TerminalStyle style :
         {TerminalStyle{}, TerminalStyle{.unicode = false}, TerminalStyle{.color = true}})
      for (const auto& [columns, rows] : {std::pair{24, 8}, {81, 23}}) {
        const std::string text = to_terminal(chart, columns, rows, style);
        INFO(text);
        CHECK(count(text, "\n") <= rows);
        std::istringstream lines(text);
        for (std::string line; !style.color && std::getline(lines, line);)
          CHECK(display_width(line) <= columns);
      }
  }
}

TEST_CASE("a terminal chart, character by character") {
  const Chart chart{.title = "Rise", .x_label = "step", .y_label = "lr", .series = {{.y = {0, 1, 2, 3, 4}}}};
  CHECK(to_terminal(chart, 24, 10, {.unicode = false}) ==
        "Rise\n"
        "lr\n"
        "4 +                  ***\n"
        "  |             *****\n"
        "2 +        *****\n"
        "  |   *****\n"
        "0 +***\n"
        "  ++---------+---------+\n"
        "   0         2         4\n"
        "           step\n");
  CHECK(to_terminal(chart, 24, 8) ==
        "Rise\n"
        "lr\n"
        "4 ┤              ⢀⣀⡠⠤⠒⠒⠉\n"
        "2 ┤      ⣀⣀⠤⠤⠒⠒⠉⠉⠁\n"
        "0 ┤⣀⠤⠔⠒⠊⠉\n"
        "  └┬─────────┬─────────┬\n"
        "   0         2         4\n"
        "           step\n");
}

TEST_CASE("several curves in a terminal have marks, or colours") {
  const Chart chart{.series = {{.name = "up", .y = {0, 1}}, {.name = "down", .y = {1, 0}}}};
  const std::string marks = to_terminal(chart, 40, 10),
                    ascii = to_terminal(chart, 40, 10, {.unicode = false});
  CHECK(marks.starts_with("● up   ▲ down\n"));
  CHECK(count(marks, "●") > 10);
  CHECK(count(marks, "▲") > 10);
  CHECK(ascii.starts_with("* up   o down\n"));
  CHECK(std::ranges::all_of(ascii, [](char c) { return c == '\n' || (c >= ' ' && c <= '~'); }));
  const std::string colours = to_terminal(chart, 40, 10, {.color = true});
  CHECK(count(colours, "\033[34m") > 2);
  CHECK(count(colours, "\033[33m") > 2);
  CHECK(count(marks, "\033") == 0);
}

TEST_CASE("charts' mistakes") {
  const Chart uneven{.series = {{.name = "s", .x = {1, 2}, .y = {1, 2, 3}}}};
  CHECK_THROWS_WITH_AS(to_svg(uneven), "chart: series \"s\" has 2 x and 3 y", Error);
  CHECK_THROWS_WITH_AS(to_terminal(uneven, 80, 20), "chart: series \"s\" has 2 x and 3 y", Error);
  CHECK_THROWS_WITH_AS(to_svg(Chart{}, {.width = 100}),
                       "to_svg: 100 x 320 pixels are too few, take at least 200 x 120", Error);
  CHECK_THROWS_WITH_AS(to_terminal(Chart{}, 23, 20),
                       "to_terminal: 23 x 20 characters are too few, take at least 24 x 8", Error);
}

TEST_CASE("text is measured, cut and escaped by characters") {
  CHECK(display_width("naïve ●") == 7);
  CHECK(display_width("\xFF\xC0\x80") == 3);
  CHECK(fit("naïve", 5) == "naïve");
  CHECK(fit("naïve", 4) == "naï~");
  CHECK(fit("a\nb", 9) == "a b");
  CHECK(fit("abc", 0) == "");
  CHECK(escape_xml("<a href=\"x\">&\x01 é") == "&lt;a href=&quot;x&quot;&gt;&amp;  é");
  CHECK(escape_xml("\xED\xA0\x80") == "???");
}
