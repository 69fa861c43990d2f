// Samplers: which point of a search space to try next. A sampler is a pure function of its options, the number of the
// trial and the trials that have ended, so a search that was cut off goes on from their list.
//
//   const auto sampler = make_sampler(space, {.kind = SamplerKind::random, .seed = 1});
//   for (int64_t i = 0; i < 100; ++i)
//     trials.push_back({.number = i, .point = *sampler->suggest(i, trials), ...});
//
// | kind   | what it does |
// |--------|--------------|
// | grid   | every point of the product once, in an order shuffled by the seed |
// | random | independent draws (Bergstra, Bengio, "Random search for hyper-parameter optimization", JMLR 13, 2012) |
// | sobol  | the Sobol sequence with Joe and Kuo's direction numbers (optim/sobol.h), moved by a digital shift |
// | tpe    | tree-structured Parzen estimators (optim/tpe.h) |
#pragma once

#include <memory>
#include <span>

#include "optim/search_space.h"

namespace galvan {

enum class TrialState { running, finished, pruned, diverged, failed };
const char* name(TrialState state);

// What a trial said of itself after so many steps. Less is better, everywhere in the search.
struct TrialReport {
  int64_t step = 0;
  double value = 0;
};

struct Trial {
  int64_t number = 0;
  Point point = {};
  TrialState state = TrialState::running;
  double value = 0;                       // once it has finished
  std::vector<TrialReport> reports = {};  // in the order of their steps
  int64_t rungs = 0;  // of successive halving that it has been judged at (optim/pruners.h)
};

class Sampler {
 public:
  virtual ~Sampler() = default;
  // The point of trial `number`; nothing when there is none left. `trials` are all others, in any order.
  virtual std::optional<Point> suggest(int64_t number, std::span<const Trial> trials) const = 0;
};

enum class SamplerKind { grid, random, sobol, tpe };

inline constexpr int64_t kMostGridPoints = 100'000;

struct SamplerOptions {
  SamplerKind kind = SamplerKind::random;
  uint64_t seed = 0;
};

// Throws where the grid has more than kMostGridPoints points, with their count, or where there are more parameters than
// the Sobol sequence has dimensions here.
std::unique_ptr<Sampler> make_sampler(const SearchSpace& space, const SamplerOptions& options);

// Uniform in [0, 1) with 53 random bits: draw i of trial `number` for the parameter `name`.
double sampler_uniform(uint64_t seed, const std::string& name, int64_t number, int64_t i = 0);

}  // namespace galvan
