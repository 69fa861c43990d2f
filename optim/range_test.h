// Range tests: one short training during which a hyperparameter rises from very low to very high, and what the loss
// says of it. Smith, Cyclical Learning Rates for Training Neural Networks (2015), section 3.3; the exponential sweep
// and the smoothed curve are fastai's (Howard and Gugger 2018).
//
//   const RangeTestOptions options{.low = 1e-4, .high = 10, .steps = 200};
//   std::vector<RangeCurve> curves;
//   for (int seed : {1, 2, 3})
//     curves.push_back(range_test(options, [&](double lr) { return train_one_step(seed, lr); }));
//   const RangeBand band = combine(curves);
//   const RangeFindings found = analyse(band);      // where learning starts, is steepest, slows, turns ragged
//   const LrRange range = suggest_lr_range(found);  // the feet and the tops of a cycle
//
// Nothing here knows what is searched: a callback takes the value and gives the loss.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

namespace galvan {

enum class Sweep { exponential, linear };

struct RangeTestOptions {
  double low = 1e-4, high = 10;  // the first value and the last
  int64_t steps = 200;           // values in all, at least 2
  Sweep sweep = Sweep::exponential;
  double smoothing = 0.8;  // what the running mean of the loss keeps at each step, in [0, 1)
  double stop_above = 2;   // the test ends when the smoothed loss is above so many times its lowest; 0: never
};

// One test. All three are equally long, and shorter than `steps` when it ended early.
struct RangeCurve {
  std::vector<double> values = {};    // of the hyperparameter
  std::vector<double> losses = {};    // what the callback gave; the last may be NaN or infinite
  std::vector<double> smoothed = {};  // running mean, infinite where the loss is not finite
  bool diverged = false;              // ended early
};

// The value of each step. Throws when the options make no sense.
std::vector<double> sweep_values(const RangeTestOptions& options);

// Calls `train` with each value in turn: it trains with this value and returns the loss that it saw. Smoothing is an
// exponential moving average corrected for its start: m = b m + (1 - b) loss, smoothed_k = m / (1 - b^k). The test
// ends after a loss that is not finite, and where stop_above says so (for losses above 0).
RangeCurve range_test(const RangeTestOptions& options, const std::function<double(double value)>& train);

// Tests of the same values with several seeds, as one. Where a test ended early, and from there on, its loss counts as
// infinite; the band ends where the median would be infinite.
struct RangeBand {
  std::vector<double> values = {}, median = {}, lowest = {}, highest = {};  // of the smoothed losses
  std::optional<double> diverges = {};  // the first value at which half of the tests or more had diverged
};
RangeBand combine(const std::vector<RangeCurve>& curves);

// What the median curve says, in values of the hyperparameter. With fall = first loss - lowest loss:
struct RangeFindings {
  std::optional<double> starts = {};    // from here to the lowest loss, more than a tenth of the fall is made
  std::optional<double> steepest = {};  // the loss falls fastest, a step; between the first and the lowest
  std::optional<double> slows = {};     // the first at which nine tenths of the fall are made
  std::optional<double> lowest = {};    // the lowest loss
  // from here on the loss stays more than a tenth of the fall above its lowest, or diverges; none: the test ended before
  std::optional<double> ragged = {};
  bool rises =
      false;  // there is no fall, and the last loss is above the first one by as much as would be one
};
// A fall of less than 2 % of the first loss is none: everything but `ragged` is then empty, and that is set only
// where the tests diverged.
RangeFindings analyse(const RangeBand& band);

struct LrRange {
  double base_lr = 0, max_lr = 0;
};
// Smith's reading of the curve: the highest rate is where the loss falls no longer as it did, or turns ragged. They are
// within a factor of about ten where a step's length follows the gradient, and far apart where it does not, as with Adam.
enum class LrCeiling { ragged, slows };

// The feet and the tops of cycles: the highest is where the ceiling says, `ragged` being the lowest loss if the loss never
// turns so; the lowest is where learning starts, or a tenth of the highest if that is less. Throws when no learning was
// found.
LrRange suggest_lr_range(const RangeFindings& findings, LrCeiling ceiling = LrCeiling::ragged);

struct MomentumRange {
  double base_momentum = 0, max_momentum = 0;
};
// Of a test at the highest learning rate: up to the momentum that still learns there, but not above 0.95, and down to
// 0.1 below. Throws as above.
MomentumRange suggest_momentum_range(const RangeFindings& findings);

// Of a test at the highest learning rate, like that: a tenth of the decay at which learning gets worse.
double suggest_weight_decay(const RangeFindings& findings);

}  // namespace galvan
