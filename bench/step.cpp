// One whole training step, timed: forward, loss, backward, clipping, update.
//
//   bench_step --preset shakespeare-char --threads 2        (--help: all options)
//
// Prints the median time of a step and the share of the f32 FMA peak that is measured in the same run. bench/peers/compare.py
// interleaves it with PyTorch.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <iostream>
#include <map>
#include <string>

#include "apps/device.h"
#include "bench/command_line.h"
#include "core/allocator.h"
#include "core/autograd.h"
#include "core/parallel.h"
#include "core/replay.h"
#include "core/variants.h"
#include "models/transformer.h"
#include "optim/adam.h"
#include "optim/sgd.h"

using namespace galvan;

namespace {

struct Arguments {
  std::string preset = "tiny", style = "gpt2", optimizer = "adamw", device = "cpu", dtype, kernels;
  int64_t batch_size = 0;  // 0: 12 for tiny, 8 for shakespeare-char, 1 for gpt2
  int threads = 0;
  int steps = 30;
  bool graph = true, json = false;
};

Arguments parse(int argc, char** argv) {
  Arguments a;
  CLI::App app("Times whole training steps: forward, loss, backward, clipping, update.", "bench_step");
  app.option_defaults()->always_capture_default();
  app.add_option("--preset", a.preset, "the model's sizes")->check(CLI::IsMember(preset_names()));
  app.add_option("--style", a.style, "the model's layers")->check(CLI::IsMember({"gpt2", "llama"}));
  app.add_option("--optimizer", a.optimizer)->check(CLI::IsMember({"adamw", "sgd"}));
  app.add_option("--device", a.device)->check(CLI::IsMember({"auto", "cpu", "cuda"}));
  app.add_option("--dtype", a.dtype, "of weights and activations; f32, on a card bf16")
      ->check(CLI::IsMember({"f32", "bf16"}));
  add_kernel_option(app, a.kernels);
  app.add_flag("--graph,!--no-graph", a.graph, "on a card, replay the step as one graph");
  app.add_option("--batch-size", a.batch_size,
                 "sequences of a step; 0: 12 for tiny, 8 for shakespeare-char, 1 for gpt2")
      ->check(CLI::Range(0, 65536));
  app.add_option("--threads", a.threads, "0: all processors")->check(CLI::Range(0, 1024));
  app.add_option("--steps", a.steps, "steps that are timed")->check(CLI::Range(1, 1000000));
  app.add_flag("--json", a.json, "print one line of JSON");
  parse_or_exit(app, argc, argv);
  if (a.batch_size == 0) a.batch_size = a.preset == "tiny" ? 12 : a.preset == "gpt2" ? 1 : 8;
  return a;
}

std::unique_ptr<Optimizer> make_optimizer(const Arguments& a, const Transformer& model) {
  auto groups = decay_matrices_only(model.parameters());
  if (a.optimizer == "sgd")
    return std::make_unique<SGD>(std::move(groups), SGDOptions{.lr = 0.01, .momentum = 0.9});
  return std::make_unique<AdamW>(std::move(groups),
                                 AdamOptions{.lr = 1e-4, .beta2 = 0.99, .weight_decay = 0.1});
}

// How often each kernel comes in a replayed step.
void print_operations(const std::vector<std::string>& names) {
  if (names.empty()) return;
  std::printf("  %zu kernels, copies and fills a step, replayed as one graph:\n", names.size());
  std::map<std::string, int> counts;
  for (const std::string& name : names) ++counts[name];
  for (const auto& [name, count] : counts) std::printf("    %4d %s\n", count, name.c_str());
}

void run(const Arguments& a) {
  if (a.threads > 0) set_threads(a.threads);
  ModelConfig config = preset(a.preset);
  if (a.style == "llama") config = llama_style(config);
  config.vocab = a.preset == "gpt2" ? 50304 : 65;  // GPT-2's 50,257, made a multiple of 64 as in nanoGPT
  const Device device = choose_device(a.device);
  choose_variants(a.kernels, device.is_cpu() ? "cpu" : "cuda");
  const DType dtype = a.dtype.empty() ? default_dtype(device) : parse_dtype(a.dtype);
  const Transformer model(config, {.seed = 1, .tensor = {.dtype = dtype, .device = device}});
  const auto optimizer = make_optimizer(a, model);
  const Tensor tokens = Tensor::uniform({a.batch_size, config.context + 1},
                                        {.high = static_cast<double>(config.vocab), .seed = 2})
                            .to(DType::i32)
                            .to(device);
  const Tensor x = tokens.slice(1, 0, config.context).contiguous(),
               y = tokens.slice(1, 1, config.context + 1).contiguous();

  Replay replay(device, a.graph);
  const auto step = [&] {
    replay.run([&] {
      const TrustedIndices trusted;
      const Tensor loss = model.loss(x, y, {.ignore_index = CrossEntropyOptions::kNone});
      loss.backward();
      optimizer->add_loss(loss);
      optimizer->enqueue_step({.clip_norm = 1.0, .skip_non_finite = true});
      optimizer->zero_grad();
    });
  };
  for (int i = 0; i < 3; ++i) step();
  optimizer->control();  // waits
  const int64_t allocations = memory_stats(device).system_allocations;
  // On a card a host that waited for each step would be what is timed.
  const int at_a_time = device.is_cpu() ? 1 : 20;
  std::vector<double> times;
  for (int i = 0; i < a.steps; ++i) {
    const auto start = std::chrono::steady_clock::now();
    for (int j = 0; j < at_a_time; ++j) step();
    check(optimizer->control().non_finite_at < 0, "bench_step: the loss is not finite");
    const std::chrono::duration<double, std::milli> time = std::chrono::steady_clock::now() - start;
    times.push_back(time.count() / at_a_time);
  }
  const int64_t taken = memory_stats(device).system_allocations - allocations;
  std::sort(times.begin(), times.end());
  const double ms = times[times.size() / 2], per_step = static_cast<double>(a.batch_size * config.context);
  const double peak = measure_peak_flops(device, dtype) / 1e9;
  const double gflops = config.flops_per_token() * per_step / ms * 1e-6;
  if (a.json) {
    std::printf(
        "{\"ms_per_step\": %.4f, \"tokens_per_second\": %.1f, \"peak_gflops\": %.1f, \"gflops\": %.1f}\n", ms,
        per_step / ms * 1e3, peak, gflops);
    return;
  }
  std::printf("%s, batch %ld, %s, %s, %s\n", a.preset.c_str(), static_cast<long>(a.batch_size),
              a.optimizer.c_str(), name(dtype), device_description(device).c_str());
  std::printf("  %.2f ms a step (p20 %.2f, p80 %.2f), %.0f tokens/s\n", ms, times[times.size() / 5],
              times[times.size() * 4 / 5], per_step / ms * 1e3);
  if (peak > 0)
    std::printf("  %.1f GFLOP/s, %.1f %% of the %s of %.1f measured now\n", gflops, 100 * gflops / peak,
                device.is_cpu() ? "f32 FMA peak" : "matrix product", peak);
  print_operations(replay.operations());
  std::printf("  %ld allocations from the system while timed\n", static_cast<long>(taken));
}

}  // namespace

int main(int argc, char** argv) {
  try {
    run(parse(argc, argv));
  } catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return 1;
  }
}
