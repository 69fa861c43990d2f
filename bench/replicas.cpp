// K small models trained together (models/replicas.h) beside the same K one after another, each of which has all threads.
//
//   bench_replicas --preset tiny --threads 2        (--help: all options)
//
// Blocks of the two take turns; the ratio is how much faster together is, its median and quartiles over pairs of blocks.
// At the end the weights of both must have the same bits.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <deque>
#include <iostream>
#include <string>
#include <vector>

#include "apps/device.h"
#include "bench/command_line.h"
#include "core/autograd.h"
#include "core/parallel.h"
#include "core/random.h"
#include "models/replicas.h"
#include "models/transformer.h"
#include "optim/adam.h"

using namespace galvan;

namespace {

struct Arguments {
  std::string preset = "tiny";
  std::vector<int64_t> replicas = {2, 4, 8};
  int64_t batch_size = 12;
  int threads = 0, steps = 4, pairs = 20;
};

Arguments parse(int argc, char** argv) {
  Arguments a;
  CLI::App app("Times K models trained together beside one after another.", "bench_replicas");
  app.option_defaults()->always_capture_default();
  app.add_option("--preset", a.preset, "the models' sizes")->check(CLI::IsMember(preset_names()));
  app.add_option("--replicas", a.replicas, "how many models")->check(CLI::Range(1, 1024));
  app.add_option("--batch-size", a.batch_size, "sequences of a step")->check(CLI::Range(1, 65536));
  app.add_option("--threads", a.threads, "0: all processors")->check(CLI::Range(0, 1024));
  app.add_option("--steps", a.steps, "of each model in a block")->check(CLI::Range(1, 1000));
  app.add_option("--pairs", a.pairs, "of blocks that are timed")->check(CLI::Range(1, 10000));
  parse_or_exit(app, argc, argv);
  return a;
}

// A model of its own seed and learning rate.
class Replica {
 public:
  Replica(const ModelConfig& config, int64_t batch_size, uint64_t seed)
      : seed_(seed),
        model_(config, {.seed = seed}),
        optimizer_(decay_matrices_only(model_.parameters()),
                   {.lr = 1e-4 * static_cast<double>(seed), .beta2 = 0.99, .weight_decay = 0.1}) {
    const Tensor tokens = Tensor::uniform({batch_size, config.context + 1},
                                          {.high = static_cast<double>(config.vocab), .seed = seed})
                              .to(DType::i32);
    x_ = tokens.slice(1, 0, config.context).contiguous();
    y_ = tokens.slice(1, 1, config.context + 1).contiguous();
  }

  void step() {
    const TrustedIndices trusted;
    const RandomPass random(seed_, 0, optimizer_.step_address());
    const Tensor loss = cross_entropy(model_(x_), y_, {.ignore_index = CrossEntropyOptions::kNone});
    loss.backward();
    optimizer_.enqueue_step({.clip_norm = 1.0});
    optimizer_.zero_grad();
  }

  std::vector<double> weights() const { return optimizer_.arena().parameters().to_vector(); }

 private:
  uint64_t seed_;
  Transformer model_;
  AdamW optimizer_;
  Tensor x_, y_;
};

double seconds_of(const auto& body) {
  const auto start = std::chrono::steady_clock::now();
  body();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// The value that a part `at` of them lies below.
double quantile(std::vector<double> values, double at) {
  std::sort(values.begin(), values.end());
  return values[static_cast<size_t>(at * static_cast<double>(values.size() - 1))];
}

void compare(const Arguments& a, const ModelConfig& config, int64_t count) {
  std::deque<Replica> together, alone;
  for (int64_t i = 0; i < count; ++i) {
    together.emplace_back(config, a.batch_size, static_cast<uint64_t>(i + 1));
    alone.emplace_back(config, a.batch_size, static_cast<uint64_t>(i + 1));
  }
  const auto step_together = [&] {
    Replicas replicas(kCpu);
    for (Replica& replica : together)
      replicas.add([&replica, left = a.steps]() mutable {
        replica.step();
        return --left > 0;
      });
    replicas.run();
  };
  const auto step_alone = [&] {
    for (Replica& replica : alone)
      for (int k = 0; k < a.steps; ++k) replica.step();
  };
  step_together();
  step_alone();
  std::vector<double> ratios, times;
  for (int pair = 0; pair < a.pairs; ++pair) {
    double of_together, of_alone;
    if (pair % 2 == 0) {  // neither is always the first
      of_together = seconds_of(step_together);
      of_alone = seconds_of(step_alone);
    } else {
      of_alone = seconds_of(step_alone);
      of_together = seconds_of(step_together);
    }
    ratios.push_back(of_alone / of_together);
    times.push_back(1e3 * of_together / a.steps);
  }
  bool same = true;
  for (size_t i = 0; i < together.size(); ++i) same = same && together[i].weights() == alone[i].weights();
  std::printf("  %3ld together: %.1f ms a step of all; ratio %.3f (p25 %.3f, p75 %.3f); %s\n",
              static_cast<long>(count), quantile(times, 0.5), quantile(ratios, 0.5), quantile(ratios, 0.25),
              quantile(ratios, 0.75), same ? "the same bits" : "OTHER BITS");
  check(same, "bench_replicas: together and alone have come to other weights");
}

}  // namespace

int main(int argc, char** argv) {
  try {
    const Arguments a = parse(argc, argv);
    if (a.threads > 0) set_threads(a.threads);
    ModelConfig config = preset(a.preset);
    config.vocab = 65;
    std::printf("%s, batch %ld, adamw, f32, %s; %d pairs of blocks of %d steps\n", a.preset.c_str(),
                static_cast<long>(a.batch_size), device_description(kCpu).c_str(), a.pairs, a.steps);
    for (const int64_t count : a.replicas) compare(a, config, count);
  } catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return 1;
  }
}
