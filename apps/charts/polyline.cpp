#include "apps/charts/polyline.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace galvan::charts {
namespace {

// Distance of p from the segment between a and b.
double distance(Point p, Point a, Point b) {
  const double dx = b.x - a.x, dy = b.y - a.y, length2 = dx * dx + dy * dy;
  const double t = length2 > 0 ? std::clamp(((p.x - a.x) * dx + (p.y - a.y) * dy) / length2, 0.0, 1.0) : 0;
  return std::hypot(p.x - a.x - t * dx, p.y - a.y - t * dy);
}

// First, lowest, highest and last of every run of points that lie in one column.
Polyline columns(const Polyline& line, double width) {
  Polyline out;
  for (size_t begin = 0, end = 0; begin < line.size(); begin = end) {
    const double column = std::floor(line[begin].x / width);
    size_t low = begin, high = begin;
    for (end = begin; end < line.size() && std::floor(line[end].x / width) == column; ++end) {
      if (line[end].y < line[low].y) low = end;
      if (line[end].y > line[high].y) high = end;
    }
    size_t kept[] = {begin, std::min(low, high), std::max(low, high), end - 1};
    const size_t* const kept_end = std::unique(kept, kept + 4);
    for (const size_t* it = kept; it != kept_end; ++it) out.push_back(line[*it]);
  }
  return out;
}

}  // namespace

std::vector<Polyline> polylines(const Series& series, const Axes& axes) {
  std::vector<Polyline> lines;
  bool open = false;
  for (size_t i = 0; i < series.y.size(); ++i) {
    const double x = x_of(series, i), y = series.y[i];
    const bool shown = axes.x.shows(x) && axes.y.shows(y);
    if (shown && !open) lines.emplace_back();
    if (shown) lines.back().push_back({axes.x.at(x), axes.y.at(y)});
    open = shown;
  }
  return lines;
}

Polyline thin(const Polyline& line, double column, double tolerance) {
  const Polyline points = columns(line, column);
  if (points.size() < 3) return points;
  std::vector<bool> keep(points.size(), false);
  keep.front() = keep.back() = true;
  std::vector<std::pair<size_t, size_t>> spans = {{0, points.size() - 1}};
  while (!spans.empty()) {
    const auto [first, last] = spans.back();
    spans.pop_back();
    size_t farthest = first;
    double most = tolerance;
    for (size_t i = first + 1; i < last; ++i)
      if (const double d = distance(points[i], points[first], points[last]); d > most) most = d, farthest = i;
    if (farthest == first) continue;
    keep[farthest] = true;
    spans.push_back({first, farthest});
    spans.push_back({farthest, last});
  }
  Polyline out;
  for (size_t i = 0; i < points.size(); ++i)
    if (keep[i]) out.push_back(points[i]);
  return out;
}

}  // namespace galvan::charts
