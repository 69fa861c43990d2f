#include <algorithm>
#include <cmath>
#include <cstdint>

#include "apps/charts/axis.h"
#include "apps/charts/charts.h"
#include "apps/charts/polyline.h"
#include "apps/charts/text.h"
#include "core/check.h"

namespace galvan::charts {
namespace {

constexpr const char* kColours[] = {"\033[34m", "\033[33m", "\033[32m", "\033[31m", "\033[35m", "\033[36m"};
constexpr const char* kReset = "\033[0m";
constexpr const char* kUnicodeMarks[] = {"●", "▲", "■", "◆", "○", "△"};
constexpr const char* kAsciiMarks[] = {"*", "o", "+", "x", "#", "@"};
constexpr size_t kKinds = 6;  // of each of these, after which they repeat

// The curves, drawn into character cells. With dots, a cell has 2 x 4 of them.
class Canvas {
 public:
  Canvas(int columns, int rows, bool dots)
      : columns_(columns),
        rows_(rows),
        dots_(dots),
        cells_(static_cast<size_t>(columns) * rows),
        marked_(static_cast<size_t>(columns), false) {}

  // A vertical line behind the curves, at a place in axis units.
  void mark(double x) { marked_[static_cast<size_t>(std::lround(x * (columns_ - 1)))] = true; }

  // Points are in axis units, y upwards.
  void draw(const Polyline& line, int series) {
    const int wide = columns_ * (dots_ ? 2 : 1) - 1, high = rows_ * (dots_ ? 4 : 1) - 1;
    int last_x = 0, last_y = 0;
    for (size_t i = 0; i < line.size(); ++i) {
      const int x = static_cast<int>(std::lround(std::clamp(line[i].x, 0.0, 1.0) * wide));
      const int y = high - static_cast<int>(std::lround(std::clamp(line[i].y, 0.0, 1.0) * high));
      if (i == 0) last_x = x, last_y = y;
      const int steps = std::max({std::abs(x - last_x), std::abs(y - last_y), 1});
      for (int s = 0; s <= steps; ++s) {
        const double part = static_cast<double>(s) / steps;
        dot(last_x + static_cast<int>(std::lround(part * (x - last_x))),
            last_y + static_cast<int>(std::lround(part * (y - last_y))), series);
      }
      last_x = x, last_y = y;
    }
  }

  std::string row(int r, const TerminalStyle& style) const {
    const Cell* const cells = cells_.data() + static_cast<size_t>(r) * columns_;
    int end = columns_;
    while (end > 0 && cells[end - 1].series < 0 && !marked_[static_cast<size_t>(end) - 1]) --end;
    std::string out;
    int colour = -1;  // of what was last written
    for (int c = 0; c < end; ++c) {
      const int series = cells[c].series;
      const size_t kind = static_cast<size_t>(std::max(series, 0)) % kKinds;
      if (style.color && series >= 0 && series != colour) out += kColours[kind], colour = series;
      out += series < 0      ? (!marked_[static_cast<size_t>(c)] ? " "
                                : style.unicode                  ? "┊"
                                                                 : ":")
             : dots_         ? braille(cells[c].dots)
             : style.unicode ? kUnicodeMarks[kind]
                             : kAsciiMarks[kind];
    }
    return colour >= 0 ? out + kReset : out;
  }

 private:
  struct Cell {
    uint8_t dots = 0;
    int series = -1;  // the last that was drawn here
  };

  void dot(int x, int y, int series) {
    // Bits of the dots of a Braille character, row by row (Unicode, chapter 21.1).
    static constexpr uint8_t kBits[4][2] = {{0x01, 0x08}, {0x02, 0x10}, {0x04, 0x20}, {0x40, 0x80}};
    const int c = dots_ ? x / 2 : x, r = dots_ ? y / 4 : y;
    Cell& cell = cells_[static_cast<size_t>(r) * columns_ + c];
    cell.dots |= kBits[dots_ ? y % 4 : 0][dots_ ? x % 2 : 0];
    cell.series = series;
  }

  // U+2800 + dots, as UTF-8.
  static std::string braille(uint8_t dots) {
    return {'\xE2', static_cast<char>(0xA0 + (dots >> 6)), static_cast<char>(0x80 + (dots & 0x3F))};
  }

  int columns_, rows_;
  bool dots_;
  std::vector<Cell> cells_;
  std::vector<bool> marked_;  // by column
};

std::string blanks(int count) { return std::string(static_cast<size_t>(std::max(count, 0)), ' '); }

std::string padded_left(const std::string& text, int width) {
  return blanks(width - display_width(text)) + text;
}

// "● train   ▲ validation", with as many entries as fit; empty if no series has a name.
std::string legend(const Chart& chart, int columns, bool dots, const TerminalStyle& style) {
  std::string out;
  int used = 0;
  for (size_t i = 0; i < chart.series.size(); ++i) {
    if (chart.series[i].name.empty()) continue;
    const std::string name = fit(chart.series[i].name, columns - used - (used == 0 ? 2 : 5));
    if (name.empty()) break;
    const size_t kind = i % kKinds;
    const std::string mark = dots ? "━" : style.unicode ? kUnicodeMarks[kind] : kAsciiMarks[kind];
    out += (used == 0 ? "" : "   ") + (style.color ? kColours[kind] + mark + kReset : mark) + " " + name;
    used += display_width(name) + (used == 0 ? 2 : 5);
  }
  return out;
}

// The labels under the x axis, each centred below its tick; one that would touch its neighbour is left out.
std::string x_labels(const Axis& axis, int gutter, int width, int columns) {
  std::string out;
  for (const Tick& tick : axis.ticks()) {
    const int size = static_cast<int>(tick.label.size());
    const int centre = gutter + static_cast<int>(std::lround(tick.at * (width - 1)));
    const int from = std::min(std::max(centre - size / 2, 0), columns - size);
    const int used = static_cast<int>(out.size());
    if (used == 0 ? from >= 0 : from > used) out += blanks(from - used) + tick.label;
  }
  return out;
}

}  // namespace

std::string to_terminal(const Chart& chart, int columns, int rows, const TerminalStyle& style) {
  check(columns >= 24 && rows >= 8, "to_terminal: ", columns, " x ", rows,
        " characters are too few, take at least 24 x 8");
  const bool dots = style.unicode && (style.color || chart.series.size() <= 1);
  const std::string key = legend(chart, columns, dots, style);
  const int above = (chart.title.empty() ? 0 : 1) + (key.empty() ? 0 : 1) + (chart.y_label.empty() ? 0 : 1);
  const int height = rows - above - 2 - (chart.x_label.empty() ? 0 : 1);

  const Axes axes = axes_of(chart, std::max(2, columns / 12), std::max(2, height / 3));
  int gutter = 0;  // for the labels of the y axis
  for (const Tick& tick : axes.y.ticks()) gutter = std::max(gutter, static_cast<int>(tick.label.size()));
  const int width = columns - gutter - 2;

  Canvas canvas(width, height, dots);
  for (const Mark& mark : chart.marks)
    if (axes.x.shows(mark.x) && axes.x.at(mark.x) >= 0 && axes.x.at(mark.x) <= 1)
      canvas.mark(axes.x.at(mark.x));
  for (size_t i = 0; i < chart.series.size(); ++i)
    for (const Polyline& line : polylines(chart.series[i], axes)) canvas.draw(line, static_cast<int>(i));

  std::string out;
  if (!chart.title.empty()) out += fit(chart.title, columns) + "\n";
  if (!key.empty()) out += key + "\n";
  if (!chart.y_label.empty()) out += fit(chart.y_label, columns) + "\n";
  for (int r = 0; r < height; ++r) {
    std::string label;
    for (const Tick& tick : axes.y.ticks())
      if (height - 1 - std::lround(tick.at * (height - 1)) == r) label = tick.label;
    const char* edge = style.unicode ? (label.empty() ? "│" : "┤") : (label.empty() ? "|" : "+");
    out += padded_left(label, gutter) + " " + edge + canvas.row(r, style) + "\n";
  }

  std::string axis;
  std::vector<bool> ticked(static_cast<size_t>(width), false);
  for (const Tick& tick : axes.x.ticks())
    ticked[static_cast<size_t>(std::clamp(std::lround(tick.at * (width - 1)), 0L, width - 1L))] = true;
  for (const bool tick : ticked) axis += style.unicode ? (tick ? "┬" : "─") : (tick ? "+" : "-");
  out += blanks(gutter + 1) + (style.unicode ? "└" : "+") + axis + "\n";
  out += x_labels(axes.x, gutter + 2, width, columns) + "\n";
  if (!chart.x_label.empty()) {
    const std::string label = fit(chart.x_label, width);
    out += blanks(gutter + 2 + (width - display_width(label)) / 2) + label + "\n";
  }
  return out;
}

}  // namespace galvan::charts
