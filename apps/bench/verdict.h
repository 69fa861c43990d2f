// Whether one of two programs is faster, from times of both; for all rows of a table together, so that a table in which
// nothing changed has any verdict at all with a stated chance at most.
//
// Times of one machine drift together, by more than what is looked for. Taken in turn (A B, B A, A B, ...), the two of a
// pair have met the same weather, and only their quotient counts: Wilcoxon's signed-rank test of its logarithm, exact
// (Wilcoxon, Individual comparisons by ranking methods, 1945). Times of two files were not taken in turn; they are held
// against each other by the rank-sum test of the same paper, whose chance is what it says only if the machine was in the
// same state both times. Over the rows: Holm, A simple sequentially rejective multiple test procedure (1979).
#pragma once

#include <span>
#include <vector>

namespace galvan {

enum class SpeedVerdict { cannot_tell, faster, slower };
const char* name(SpeedVerdict verdict);  // "can't tell", "faster", "slower"

// Of a new program beside an old one.
struct Comparison {
  double ratio = 1;  // median of new time / old time
  double p = 1;      // the chance of such times, or more telling ones, if nothing changed
  int sign = 0;      // by ranks, -1: the new one is faster; a verdict needs the ratio to say so too
  SpeedVerdict verdict = SpeedVerdict::cannot_tell;
};

// Seconds; of pairs, the i-th of both were taken one after the other.
struct Times {
  std::vector<double> old_times, new_times;
  double old_clock = 0, new_clock = 0;  // of a card, in cycles a second; 0: not known
};

// The chance, two-sided, if each difference were as likely to have the other sign. Equal ranks are shared, zeros left out.
double signed_rank_p(std::span<const double> differences);

// The chance, two-sided, if all were drawn from one: by the normal approximation with the correction for ties, from 8
// samples of each on; 1 for fewer.
double rank_sum_p(std::span<const double> a, std::span<const double> b);

// `alarm_rate`: the chance at most that a table in which nothing changed has a verdict.
std::vector<Comparison> compare_pairs(std::span<const Times> rows, double alarm_rate);
// Where both clocks are known, the cycles must say what the times say: a card that was let run faster is no faster kernel.
std::vector<Comparison> compare_samples(std::span<const Times> rows, double alarm_rate);

// The least number of pairs with which a table of so many rows can have a verdict.
int pairs_needed(size_t rows, double alarm_rate);

// The value that a share q of the samples is not above, between two samples by a straight line.
double quantile(std::vector<double> samples, double q);

}  // namespace galvan
