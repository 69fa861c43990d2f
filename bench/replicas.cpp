// K small models trained together (models/replicas.h) beside the same K one after another, each of which has all threads.
//
//   bench_replicas --preset tiny --threads 2                                        (--help: all options)
//   bench_replicas --preset tiny --device cuda --replicas 8 --replicas 32
//
// Blocks of the two take turns; the ratio is how much faster together is, its median and quartiles over pairs of blocks.
// At the end the weights of both must have the same bits; on a card, where products of a batch may be computed in another
// order than single ones, be about the same.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "apps/bench/verdict.h"
#include "apps/device.h"
#include "bench/command_line.h"
#include "core/autograd.h"
#include "core/parallel.h"
#include "core/random.h"
#include "core/replay.h"
#include "core/variants.h"
#include "models/replicas.h"
#include "models/transformer.h"
#include "optim/adam.h"
#include "optim/sgd.h"

using namespace galvan;

namespace {

struct Arguments {
  std::string preset = "tiny", optimizer = "adamw", device = "cpu", dtype, kernels;
  std::vector<int64_t> replicas = {2, 4, 8};
  int64_t batch_size = 12;
  int threads = 0, steps = 4, pairs = 20;
};

Arguments parse(int argc, char** argv) {
  Arguments a;
  CLI::App app("Times K models trained together beside one after another.", "bench_replicas");
  app.option_defaults()->always_capture_default();
  app.add_option("--preset", a.preset, "the models' sizes")->check(CLI::IsMember(preset_names()));
  app.add_option("--optimizer", a.optimizer, "sgd: with momentum")->check(CLI::IsMember({"adamw", "sgd"}));
  app.add_option("--device", a.device)->check(CLI::IsMember({"auto", "cpu", "cuda"}));
  app.add_option("--dtype", a.dtype, "of weights and activations; f32, on a card bf16")
      ->check(CLI::IsMember({"f32", "bf16"}));
  add_kernel_option(app, a.kernels);
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
  Replica(const Arguments& a, const ModelConfig& config, const TensorOptions& where, uint64_t seed)
      : seed_(seed), model_(config, {.seed = seed, .tensor = where}), replay_(where.device) {
    const double lr = 1e-4 * static_cast<double>(seed);
    auto groups = decay_matrices_only(model_.parameters());
    if (a.optimizer == "sgd") {
      optimizer_ = std::make_unique<SGD>(std::move(groups), SGDOptions{.lr = lr, .momentum = 0.9});
    } else {
      optimizer_ = std::make_unique<AdamW>(std::move(groups),
                                           AdamOptions{.lr = lr, .beta2 = 0.99, .weight_decay = 0.1});
    }
    const Tensor tokens = Tensor::uniform({a.batch_size, config.context + 1},
                                          {.high = static_cast<double>(config.vocab), .seed = seed})
                              .to(DType::i32)
                              .to(where.device);
    x_ = tokens.slice(1, 0, config.context).contiguous();
    y_ = tokens.slice(1, 1, config.context + 1).contiguous();
  }

  // So many steps, waited for.
  void train(int64_t steps) {
    replay_.run(
        [&] {
          const TrustedIndices trusted;
          const RandomPass random(seed_, 0, optimizer_->step_address());
          const Tensor loss = model_.loss(x_, y_, {.ignore_index = CrossEntropyOptions::kNone});
          loss.backward();
          optimizer_->enqueue_step({.clip_norm = 1.0});
          optimizer_->zero_grad();
        },
        steps);
    optimizer_->control();
  }

  std::vector<double> weights() const { return optimizer_->arena().parameters().to_vector(); }

 private:
  uint64_t seed_;
  Transformer model_;
  std::unique_ptr<Optimizer> optimizer_;
  Tensor x_, y_;
  Replay replay_;
};

double seconds_of(const auto& body) {
  const auto start = std::chrono::steady_clock::now();
  body();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// Each of its own seed and learning rate, made where it is trained.
std::unique_ptr<Replica> make_replica(const Arguments& a, const ModelConfig& config,
                                      const TensorOptions& where, int64_t i) {
  return std::make_unique<Replica>(a, config, where, static_cast<uint64_t>(i + 1));
}

struct Times {
  std::vector<double> together, alone;  // seconds of a block of steps of all
};

// Blocks of the two in turn.
Times time_on_cpu(const Arguments& a, std::vector<std::unique_ptr<Replica>>& together,
                  std::vector<std::unique_ptr<Replica>>& alone) {
  const auto step_together = [&] {
    Replicas replicas(kCpu);
    for (auto& replica : together)
      replicas.add([&replica, left = a.steps]() mutable {
        replica->train(1);
        return --left > 0;
      });
    replicas.run();
  };
  const auto step_alone = [&] {
    for (auto& replica : alone) replica->train(a.steps);
  };
  step_together();
  step_alone();
  Times times;
  for (int pair = 0; pair < a.pairs; ++pair) {
    if (pair % 2 == 0) {  // neither is always the first
      times.together.push_back(seconds_of(step_together));
      times.alone.push_back(seconds_of(step_alone));
    } else {
      times.alone.push_back(seconds_of(step_alone));
      times.together.push_back(seconds_of(step_together));
    }
  }
  return times;
}

// All blocks of the one, then of the other: together they are replayed in one graph, which the first blocks make. The
// replicas of `together` are made by their own threads, so that their memory lies in step.
Times time_on_card(const Arguments& a, const ModelConfig& config, const TensorOptions& where,
                   std::vector<std::unique_ptr<Replica>>& together,
                   std::vector<std::unique_ptr<Replica>>& alone) {
  using Clock = std::chrono::steady_clock;
  constexpr int kWarmUps = 3;
  std::vector<Clock::time_point> ends;
  Replicas replicas(where.device, static_cast<int64_t>(together.size()));
  for (size_t i = 0; i < together.size(); ++i)
    replicas.add([&, i, left = a.pairs + kWarmUps]() mutable {
      if (!together[i]) together[i] = make_replica(a, config, where, static_cast<int64_t>(i));
      together[i]->train(a.steps);
      if (i == 0) ends.push_back(Clock::now());
      return --left > 0;
    });
  replicas.run();
  Times times;
  for (size_t i = kWarmUps; i < ends.size(); ++i)
    times.together.push_back(std::chrono::duration<double>(ends[i] - ends[i - 1]).count());
  for (int block = 0; block < a.pairs + kWarmUps; ++block) {
    const double seconds = seconds_of([&] {
      for (auto& replica : alone) replica->train(a.steps);
    });
    if (block >= kWarmUps) times.alone.push_back(seconds);
  }
  return times;
}

void compare(const Arguments& a, const ModelConfig& config, const TensorOptions& where, int64_t count) {
  std::vector<std::unique_ptr<Replica>> together(static_cast<size_t>(count)), alone;
  for (int64_t i = 0; i < count; ++i) alone.push_back(make_replica(a, config, where, i));
  if (where.device.is_cpu())
    for (int64_t i = 0; i < count; ++i) together[static_cast<size_t>(i)] = make_replica(a, config, where, i);
  const Times times = where.device.is_cpu() ? time_on_cpu(a, together, alone)
                                            : time_on_card(a, config, where, together, alone);
  std::vector<double> ratios;
  for (size_t i = 0; i < times.together.size(); ++i) ratios.push_back(times.alone[i] / times.together[i]);
  double difference = 0;
  for (size_t i = 0; i < together.size(); ++i) {
    const std::vector<double> x = together[i]->weights(), y = alone[i]->weights();
    for (size_t e = 0; e < x.size(); ++e) difference = std::max(difference, std::fabs(x[e] - y[e]));
  }
  std::printf("  %3ld together: %.3f ms a step of all; ratio %.3f (p25 %.3f, p75 %.3f); ",
              static_cast<long>(count), 1e3 * quantile(times.together, 0.5) / a.steps, quantile(ratios, 0.5),
              quantile(ratios, 0.25), quantile(ratios, 0.75));
  if (difference == 0) {
    std::printf("the same bits\n");
  } else {
    std::printf("weights differ by at most %.2g\n", difference);
  }
  check(difference == 0 || !where.device.is_cpu(),
        "bench_replicas: together and alone have come to other weights");
}

}  // namespace

int main(int argc, char** argv) {
  try {
    const Arguments a = parse(argc, argv);
    if (a.threads > 0) set_threads(a.threads);
    ModelConfig config = preset(a.preset);
    config.vocab = 65;
    const Device device = choose_device(a.device);
    choose_variants(a.kernels, device.is_cpu() ? "cpu" : "cuda");
    const TensorOptions where{.dtype = a.dtype.empty() ? default_dtype(device) : parse_dtype(a.dtype),
                              .device = device};
    std::printf("%s, batch %ld, %s, %s, %s; %d pairs of blocks of %d steps\n", a.preset.c_str(),
                static_cast<long>(a.batch_size), a.optimizer.c_str(), name(where.dtype),
                device_description(device).c_str(), a.pairs, a.steps);
    for (const int64_t count : a.replicas) compare(a, config, where, count);
  } catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return 1;
  }
}
