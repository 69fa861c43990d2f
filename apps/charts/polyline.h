// Curves as points on the drawing, split at gaps and thinned to what can be seen.
#pragma once

#include <vector>

#include "apps/charts/axis.h"
#include "apps/charts/charts.h"

namespace galvan::charts {

struct Point {
  double x, y;
};
using Polyline = std::vector<Point>;

// The runs of drawable points of a series, in axis units (0 to 1), y upwards.
std::vector<Polyline> polylines(const Series& series, const Axes& axes);

// Of the points within one column of width `column` keeps first, lowest, highest and last, so that no spike
// is lost; of these drops what moves the line by at most `tolerance` (Douglas and Peucker 1973).
Polyline thin(const Polyline& line, double column, double tolerance);

}  // namespace galvan::charts
