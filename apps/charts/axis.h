// One axis of a chart: its range, its ticks, and where on it a value lies.
#pragma once

#include <string>
#include <vector>

namespace galvan::charts {

struct Chart;

struct Tick {
  double at;  // position on the axis, 0 to 1
  std::string label;
};

class Axis {
 public:
  // An axis over the finite `values` (above 0 if logarithmic) with about `wanted` ticks. `round` moves its
  // ends out to the next tick.
  Axis(const std::vector<double>& values, bool logarithmic, bool round, int wanted);

  bool shows(double value) const;  // can the value be drawn at all
  double at(double value) const;   // 0 at the low end, 1 at the high end
  const std::vector<Tick>& ticks() const { return ticks_; }

 private:
  void make_linear(double low, double high, bool round, int wanted, double least_step);
  void make_logarithmic(double low, double high, bool round, int wanted);

  bool logarithmic_;
  double low_ = 0, high_ = 1;  // of the value, or of its decimal logarithm
  std::vector<Tick> ticks_;
};

// The two axes of a chart, of which x ends where the data end and y at a tick.
struct Axes {
  Axis x, y;
};
Axes axes_of(const Chart& chart, int x_ticks, int y_ticks);

// The x of a series, 0, 1, 2, ... where it has none.
struct Series;
double x_of(const Series& series, size_t i);

// A number as a tick says it, told apart from neighbours `step` away: 0.25, 1500, 2.5e-4.
std::string tick_label(double value, double step);

}  // namespace galvan::charts
