// Tree-structured Parzen estimators (Bergstra, Bardenet, Bengio, Kegl, "Algorithms for hyper-parameter optimization",
// NIPS 2011, section 4), with the settings that Optuna has by default. The trials so far are split into the best tenth,
// at most 25, and the rest; of each parameter, each part gives a density: a mixture of normals, one about each value
// tried and one over the whole range. Of 24 draws from the density of the best, l, the one with the highest l / g is
// taken. Parameters are seen one by one, each among the trials that have it.
#pragma once

#include <memory>
#include <span>

#include "optim/samplers.h"

namespace galvan {

struct TpeOptions {
  uint64_t seed = 0;
  int64_t startup = 10;     // trials drawn at random first
  int64_t candidates = 24;  // draws of which the best is taken
};

std::unique_ptr<Sampler> make_tpe_sampler(const SearchSpace& space, const TpeOptions& options);

// The density that values of one parameter give: a mixture of normals, cut off at the ends of the range, in the
// logarithm for LogUniform, and with a share for each choice instead where the range is one. Values are in the order in
// which they were tried: of more than 25, the older count for less.
class ParzenEstimator {
 public:
  ParzenEstimator(const ParameterRange& range, const std::vector<ParameterValue>& values);

  double log_density(const ParameterValue& value) const;
  // With two uniform numbers in [0, 1).
  ParameterValue sample(double which, double where) const;

 private:
  double inner(const ParameterValue& value) const;

  ParameterRange range_;
  std::vector<double> weights_;         // of the kernels, summing to 1; the last is the prior
  std::vector<double> means_, sigmas_;  // of the kernels
  std::vector<double> log_factors_;     // of each, what does not depend on the value
  double low_ = 0, high_ = 0, half_step_ = 0;
  std::vector<std::vector<double>> shares_;  // of a choice: [kernel][value]
};

}  // namespace galvan
