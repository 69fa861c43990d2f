#include "optim/samplers.h"

#include <numeric>

#include "core/check.h"
#include "core/random.h"
#include "optim/sobol.h"
#include "optim/tpe.h"

namespace galvan {
namespace {

class GridSampler : public Sampler {
 public:
  GridSampler(const SearchSpace& space, uint64_t seed) : space_(space) {
    const double size = space.grid_size();
    check(size <= static_cast<double>(kMostGridPoints), "a grid over these parameters has ", size,
          " points; at most ", kMostGridPoints, " are taken");
    order_.resize(static_cast<size_t>(size));
    std::iota(order_.begin(), order_.end(), 0);
    for (size_t i = order_.size(); i-- > 1;) {  // Fisher and Yates
      const double u = sampler_uniform(seed, "grid", static_cast<int64_t>(i));
      std::swap(order_[i], order_[static_cast<size_t>(u * static_cast<double>(i + 1))]);
    }
  }
  std::optional<Point> suggest(int64_t number, std::span<const Trial>) const override {
    if (number >= static_cast<int64_t>(order_.size())) return {};
    return space_.grid_point(order_[static_cast<size_t>(number)]);
  }

 private:
  SearchSpace space_;
  std::vector<int64_t> order_;
};

class RandomSampler : public Sampler {
 public:
  RandomSampler(const SearchSpace& space, uint64_t seed) : space_(space), seed_(seed) {}
  std::optional<Point> suggest(int64_t number, std::span<const Trial>) const override {
    std::vector<double> u;
    for (const Parameter& p : space_.parameters()) u.push_back(sampler_uniform(seed_, p.name, number));
    return space_.at(u);
  }

 private:
  SearchSpace space_;
  uint64_t seed_;
};

class SobolSampler : public Sampler {
 public:
  SobolSampler(const SearchSpace& space, uint64_t seed) : space_(space) {
    const auto dimensions = static_cast<int>(space.parameters().size());
    check(dimensions <= kSobolDimensions, "sobol: ", dimensions, " parameters; at most ", kSobolDimensions,
          " are taken");
    for (const Parameter& p : space.parameters())
      shift_.push_back(static_cast<uint32_t>(sampler_uniform(seed, p.name, 0) * 0x1p32));
  }
  std::optional<Point> suggest(int64_t number, std::span<const Trial>) const override {
    std::vector<double> u;
    for (size_t d = 0; d < shift_.size(); ++d)
      u.push_back((sobol_bits(static_cast<uint32_t>(number), static_cast<int>(d)) ^ shift_[d]) * 0x1p-32);
    return space_.at(u);
  }

 private:
  SearchSpace space_;
  std::vector<uint32_t>
      shift_;  // a dimension; keeps the sequence's evenness, and takes 0 away from its beginning
};

}  // namespace

const char* name(TrialState state) {
  constexpr const char* kNames[] = {"running", "finished", "pruned", "diverged", "failed"};
  return kNames[static_cast<int>(state)];
}

double sampler_uniform(uint64_t seed, const std::string& name, int64_t number, int64_t i) {
  const RandomStream stream{.seed = seed, .stream = stream_of(name), .step = static_cast<uint32_t>(number)};
  const Philox4 words = stream.words(static_cast<uint64_t>(i));
  return (static_cast<double>(words[0] >> 5) * 0x1p26 + static_cast<double>(words[1] >> 6)) * 0x1p-53;
}

std::unique_ptr<Sampler> make_sampler(const SearchSpace& space, const SamplerOptions& options) {
  switch (options.kind) {
    case SamplerKind::grid:
      return std::make_unique<GridSampler>(space, options.seed);
    case SamplerKind::random:
      return std::make_unique<RandomSampler>(space, options.seed);
    case SamplerKind::sobol:
      return std::make_unique<SobolSampler>(space, options.seed);
    case SamplerKind::tpe:
      return make_tpe_sampler(space, {.seed = options.seed});
  }
  fail("make_sampler: no such kind");
}

}  // namespace galvan
