#include "optim/importance.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "core/check.h"
#include "optim/samplers.h"

namespace galvan {
namespace {

// A part of the unit cube on which a tree has one value.
struct Box {
  std::vector<double> low, high;
  double value = 0;

  double volume() const {
    double product = 1;
    for (size_t d = 0; d < low.size(); ++d) product *= high[d] - low[d];
    return product;
  }
};

class Tree {
 public:
  Tree(const std::vector<std::vector<double>>& points, const std::vector<double>& values,
       std::vector<size_t> sample, int64_t least_to_split)
      : points_(points), values_(values), least_(static_cast<size_t>(least_to_split)) {
    const size_t dimensions = points[0].size();
    grow({std::vector<double>(dimensions, 0.0), std::vector<double>(dimensions, 1.0), 0}, std::move(sample));
  }

  // By coordinate, its part of the variance; nothing where there is no variance.
  std::vector<double> shares() const {
    double mean = 0, variance = 0;
    for (const Box& box : leaves_) mean += box.volume() * box.value;
    for (const Box& box : leaves_) variance += box.volume() * (box.value - mean) * (box.value - mean);
    if (!(variance > 0)) return {};
    std::vector<double> shares;
    for (size_t d = 0; d < points_[0].size(); ++d) {
      std::vector<double> cuts = {0, 1};
      for (const Box& box : leaves_) cuts.push_back(box.low[d]);
      std::sort(cuts.begin(), cuts.end());
      cuts.erase(std::unique(cuts.begin(), cuts.end()), cuts.end());
      double alone = 0;
      for (size_t i = 0; i + 1 < cuts.size(); ++i) {
        // The mean over all other coordinates, where this one lies between two cuts.
        double marginal = 0;
        for (const Box& box : leaves_)
          if (box.low[d] <= cuts[i] && box.high[d] >= cuts[i + 1])
            marginal += box.value * box.volume() / (box.high[d] - box.low[d]);
        alone += (cuts[i + 1] - cuts[i]) * (marginal - mean) * (marginal - mean);
      }
      shares.push_back(alone / variance);
    }
    return shares;
  }

 private:
  void grow(Box box, std::vector<size_t> sample) {
    double sum = 0;
    for (const size_t i : sample) sum += values_[i];
    box.value = sum / static_cast<double>(sample.size());
    const auto [dimension, cut] =
        sample.size() < least_ ? std::pair<size_t, double>{0, -1} : best_cut(sample, sum);
    if (cut < 0) {
      leaves_.push_back(std::move(box));
      return;
    }
    const auto middle = std::partition(sample.begin(), sample.end(),
                                       [&, d = dimension, c = cut](size_t i) { return points_[i][d] < c; });
    Box left = box, right = box;
    left.high[dimension] = right.low[dimension] = cut;
    grow(std::move(left), {sample.begin(), middle});
    grow(std::move(right), {middle, sample.end()});
  }

  // The coordinate and the place that leave the least squared error; a place below 0 where no cut helps.
  std::pair<size_t, double> best_cut(std::vector<size_t> sample, double sum) const {
    const auto n = static_cast<double>(sample.size());
    double best = sum * sum / n + 1e-12 * (1 + sum * sum / n), cut = -1;
    size_t dimension = 0;
    for (size_t d = 0; d < points_[0].size(); ++d) {
      std::sort(sample.begin(), sample.end(),
                [&](size_t a, size_t b) { return points_[a][d] < points_[b][d]; });
      double left = 0;
      for (size_t i = 0; i + 1 < sample.size(); ++i) {
        left += values_[sample[i]];
        const double here = points_[sample[i]][d], next = points_[sample[i + 1]][d];
        if (here == next) continue;
        const auto k = static_cast<double>(i + 1);
        const double score = left * left / k + (sum - left) * (sum - left) / (n - k);
        if (score <= best) continue;
        best = score, dimension = d, cut = 0.5 * (here + next);
      }
    }
    return {dimension, cut};
  }

  const std::vector<std::vector<double>>& points_;
  const std::vector<double>& values_;
  size_t least_;
  std::vector<Box> leaves_;
};

}  // namespace

std::vector<double> importance(const std::vector<std::vector<double>>& points,
                               const std::vector<double>& values, const ImportanceOptions& o) {
  check(points.size() >= 4, "importance: ", points.size(), " points are too few; at least 4 are needed");
  check(points.size() == values.size(), "importance: ", points.size(), " points have ", values.size(),
        " values");
  std::vector<double> total(points[0].size());
  int64_t counted = 0;
  for (int64_t t = 0; t < o.trees; ++t) {
    std::vector<size_t> sample(points.size());  // drawn with repetition
    for (size_t i = 0; i < sample.size(); ++i)
      sample[i] = static_cast<size_t>(sampler_uniform(o.seed, "tree", t, static_cast<int64_t>(i)) *
                                      static_cast<double>(points.size()));
    const std::vector<double> shares = Tree(points, values, std::move(sample), o.least_to_split).shares();
    if (shares.empty()) continue;
    ++counted;
    for (size_t d = 0; d < total.size(); ++d) total[d] += shares[d];
  }
  for (double& share : total) share = counted > 0 ? share / static_cast<double>(counted) : 0.0;
  return total;
}

}  // namespace galvan
