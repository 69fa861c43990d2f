#include "apps/bench/verdict.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/check.h"

namespace galvan {
namespace {

// Twice the rank of each value, counted from 1; equal values share the mean of theirs, so twice it is whole.
std::vector<int64_t> doubled_ranks(std::span<const double> values) {
  std::vector<size_t> order(values.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return values[a] < values[b]; });
  std::vector<int64_t> ranks(values.size());
  for (size_t begin = 0, end = 0; begin < order.size(); begin = end) {
    while (end < order.size() && values[order[end]] == values[order[begin]]) ++end;
    for (size_t i = begin; i < end; ++i) ranks[order[i]] = static_cast<int64_t>(begin + 1 + end);
  }
  return ranks;
}

// Holm: the smallest p needs alarm_rate / rows, the next one alarm_rate / (rows - 1), ..., up to the first that fails.
void judge(std::vector<Comparison>& rows, double alarm_rate) {
  check(alarm_rate > 0 && alarm_rate < 1, "bench: a false-alarm rate is between 0 and 1, not ", alarm_rate);
  std::vector<Comparison*> order;
  for (Comparison& row : rows) order.push_back(&row);
  std::sort(order.begin(), order.end(), [](const auto* a, const auto* b) { return a->p < b->p; });
  for (size_t i = 0; i < order.size(); ++i) {
    if (order[i]->p > alarm_rate / static_cast<double>(order.size() - i)) return;
    // Of times in two heaps the medians may say one thing and the ranks another.
    if (order[i]->ratio < 1 && order[i]->sign < 0) order[i]->verdict = SpeedVerdict::faster;
    if (order[i]->ratio > 1 && order[i]->sign > 0) order[i]->verdict = SpeedVerdict::slower;
  }
}

void check_times(const std::vector<double>& times) {
  check(!times.empty(), "bench: a row without times");
  for (const double t : times) check(std::isfinite(t) && t > 0, "bench: ", t, " is not a time in seconds");
}

}  // namespace

const char* name(SpeedVerdict verdict) {
  constexpr const char* kNames[] = {"can't tell", "faster", "slower"};
  return kNames[static_cast<int>(verdict)];
}

namespace {

struct RankTest {
  double p = 1;
  int sign = 0;  // of the differences, or of a - b
};

int sign_of(double value) { return (value > 0) - (value < 0); }

RankTest signed_rank(std::span<const double> differences) {
  std::vector<double> sizes;
  std::vector<bool> positive;
  for (const double d : differences)
    if (d != 0) {
      sizes.push_back(std::fabs(d));
      positive.push_back(d > 0);
    }
  const std::vector<int64_t> ranks = doubled_ranks(sizes);
  const int64_t total = std::accumulate(ranks.begin(), ranks.end(), int64_t{0});
  int64_t above = 0;
  for (size_t i = 0; i < ranks.size(); ++i)
    if (positive[i]) above += ranks[i];

  // chance[s]: of the ranks with a positive sign to sum to s, every sign being a toss of a coin.
  std::vector<double> chance(static_cast<size_t>(total) + 1);
  chance[0] = 1;
  for (const int64_t rank : ranks)
    for (int64_t s = total; s >= 0; --s)
      chance[static_cast<size_t>(s)] =
          0.5 * (chance[static_cast<size_t>(s)] + (s >= rank ? chance[static_cast<size_t>(s - rank)] : 0));
  const int64_t extreme = std::min(above, total - above);
  const double tail = std::accumulate(chance.begin(), chance.begin() + extreme + 1, 0.0);
  return {.p = std::min(1.0, 2 * tail), .sign = sign_of(static_cast<double>(2 * above - total))};
}

RankTest rank_sum(std::span<const double> a, std::span<const double> b) {
  if (a.size() < 8 || b.size() < 8) return {};
  std::vector<double> all(a.begin(), a.end());
  all.insert(all.end(), b.begin(), b.end());
  const std::vector<int64_t> ranks = doubled_ranks(all);
  const double m = static_cast<double>(a.size()), n = static_cast<double>(b.size()), count = m + n;
  double sum = 0, squares = 0;  // of the ranks of a; of all ranks about their mean
  for (size_t i = 0; i < all.size(); ++i) {
    const double rank = static_cast<double>(ranks[i]) / 2;
    if (i < a.size()) sum += rank;
    squares += (rank - (count + 1) / 2) * (rank - (count + 1) / 2);
  }
  const double variance = m * n / (count * (count - 1)) * squares;
  if (variance == 0) return {};  // all equal
  const double shift = sum - m * (count + 1) / 2;
  const double distance = std::max(0.0, std::fabs(shift) - 0.5);
  return {.p = std::erfc(distance / std::sqrt(2 * variance)), .sign = sign_of(shift)};
}

}  // namespace

double signed_rank_p(std::span<const double> differences) { return signed_rank(differences).p; }
double rank_sum_p(std::span<const double> a, std::span<const double> b) { return rank_sum(a, b).p; }

std::vector<Comparison> compare_pairs(std::span<const Times> rows, double alarm_rate) {
  std::vector<Comparison> all;
  for (const Times& row : rows) {
    check(row.old_times.size() == row.new_times.size(), "bench: ", row.old_times.size(), " old times and ",
          row.new_times.size(), " new ones are not pairs");
    check_times(row.old_times);
    check_times(row.new_times);
    std::vector<double> logarithms, ratios;
    for (size_t i = 0; i < row.old_times.size(); ++i) {
      ratios.push_back(row.new_times[i] / row.old_times[i]);
      logarithms.push_back(std::log(ratios.back()));
    }
    const RankTest ranks = signed_rank(logarithms);
    all.push_back({.ratio = quantile(ratios, 0.5), .p = ranks.p, .sign = ranks.sign});
  }
  judge(all, alarm_rate);
  return all;
}

std::vector<Comparison> compare_samples(std::span<const Times> rows, double alarm_rate) {
  std::vector<Comparison> all;
  for (const Times& row : rows) {
    check_times(row.old_times);
    check_times(row.new_times);
    const RankTest ranks = rank_sum(row.new_times, row.old_times);
    Comparison c = {.ratio = quantile(row.new_times, 0.5) / quantile(row.old_times, 0.5),
                    .p = ranks.p,
                    .sign = ranks.sign};
    if (row.old_clock > 0 && row.new_clock > 0) {
      const double clocks = row.new_clock / row.old_clock;
      std::vector<double> new_cycles = row.new_times;  // in those of the old clock
      for (double& time : new_cycles) time *= clocks;
      const RankTest by_cycles = rank_sum(new_cycles, row.old_times);
      const bool agree = by_cycles.sign == ranks.sign && (c.ratio < 1) == (c.ratio * clocks < 1);
      c.p = agree ? std::max(c.p, by_cycles.p) : 1;
    }
    all.push_back(c);
  }
  judge(all, alarm_rate);
  return all;
}

int pairs_needed(size_t rows, double alarm_rate) {
  // All signs alike have the chance 2 / 2^n.
  int n = 1;
  while (std::ldexp(2.0, -n) > alarm_rate / static_cast<double>(std::max<size_t>(rows, 1))) ++n;
  return n;
}

double quantile(std::vector<double> samples, double q) {
  check(!samples.empty() && q >= 0 && q <= 1, "quantile: ", q, " of ", samples.size(), " samples");
  std::sort(samples.begin(), samples.end());
  const double at = q * static_cast<double>(samples.size() - 1);
  const auto below = static_cast<size_t>(at);
  if (below + 1 == samples.size()) return samples.back();
  return samples[below] + (at - static_cast<double>(below)) * (samples[below + 1] - samples[below]);
}

}  // namespace galvan
