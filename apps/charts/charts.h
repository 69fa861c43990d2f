// Line charts: SVG for files and reports, characters for terminals.
//
//   charts::Chart chart{.title = "Loss", .x_label = "step", .y_label = "loss",
//                       .series = {{.name = "train", .y = losses}}};
//   write(charts::to_svg(chart));  std::cout << charts::to_terminal(chart, 80, 20);
//
// NaN and infinite points, and those at or below 0 on a logarithmic axis, make gaps. A chart may have no
// points at all. Labels are UTF-8 and may hold any text. The same chart always gives the same bytes.
#pragma once

#include <string>
#include <vector>

namespace galvan::charts {

struct Series {
  std::string name = {};       // for the legend, which is drawn when any series has a name
  std::vector<double> x = {};  // as long as y; empty: 0, 1, 2, ...
  std::vector<double> y = {};
  int colour = -1;    // in SVG: a place in the palette, which goes round; -1: the series' own
  bool dots = false;  // in SVG: the points alone
};

// A vertical line across the chart.
struct Mark {
  double x = 0;
  std::string label = {};  // beside it, in pictures; terminals draw the line alone
};

struct Chart {
  std::string title = {};
  std::string x_label = {};
  std::string y_label = {};
  std::vector<Series> series = {};
  bool log_x = false;
  bool log_y = false;
  std::vector<Mark> marks = {};  // those that lie on the axis are drawn
};

// A self-contained <svg> element without scripts, fonts or outside references, with a transparent ground and
// colours that read on light and dark pages. Curves of many points are thinned to what can be seen, so that a
// file stays small. Throws when a series' x and y differ in length.
struct SvgStyle {
  int width = 720;   // pixels, the whole picture; at least 200
  int height = 320;  // pixels, one panel; at least 120
};
std::string to_svg(const Chart& chart, const SvgStyle& style = {});

// Several charts in one picture, one above the other with their axes aligned.
std::string to_svg(const std::vector<Chart>& panels, const SvgStyle& style = {});

// At most `rows` lines of at most `columns` characters, each line ended by a newline: title and legend, the
// curve between its axes, labels. At least 24 columns and 8 rows. Throws when x and y differ in length.
struct TerminalStyle {
  bool unicode = true;  // curves of Braille dots; off: plain ASCII
  bool color = false;  // ANSI colours, one a series. Without them, several series are drawn with a mark each.
};
std::string to_terminal(const Chart& chart, int columns, int rows, const TerminalStyle& style = {});

}  // namespace galvan::charts
