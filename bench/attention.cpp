// Attention of one layer, forward and backward, at the shapes of two presets, beside the processor's peak
// measured in the same run.
//
//   bench_attention [--threads N] [--rounds N]
//
// FLOPs are those that the causal mask leaves: 2 products forward and 5 backward (the scores are computed anew),
// each of B H D T (T + 1) operations. Times are medians over the rounds; the best round is given too, which says
// more on a busy machine.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <functional>
#include <vector>

#include "apps/bench/verdict.h"
#include "bench/command_line.h"
#include "core/cpu/peak.h"
#include "core/cpu/simd/isa.h"
#include "core/kernels.h"
#include "core/parallel.h"

using namespace galvan;

namespace {

struct Preset {
  const char* name;
  int64_t B, H, T, D;
};

constexpr Preset kPresets[] = {{"tiny, batch 12", 12, 4, 64, 32},
                               {"shakespeare-char, batch 8", 8, 6, 256, 64},
                               {"gpt2, batch 1", 1, 12, 1024, 64}};

double seconds(const std::function<void()>& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// Head `first` on of a packed [B, T, width].
template <class T>
HeadRows<T> heads(float* data, const Preset& p, int64_t width, int64_t first) {
  return {data + first * p.D, p.T * width, p.D, width};
}

void run(const Preset& p, int rounds, int threads) {
  const AttentionSizes sizes{
      .B = p.B, .H = p.H, .G = p.H, .Tq = p.T, .Tk = p.T, .D = p.D, .causal = true, .scale = 0.125};
  const int64_t width = 3 * p.H * p.D, out = p.H * p.D;
  std::vector<float> qkv(p.B * p.T * width), dqkv(qkv.size()), y(p.B * p.T * out), dy(y.size());
  std::vector<float> lse(p.B * p.H * p.T);
  for (size_t i = 0; i < qkv.size(); ++i) qkv[i] = static_cast<float>(i * 7919 % 1013) / 1013.0f - 0.5f;
  for (size_t i = 0; i < dy.size(); ++i) dy[i] = static_cast<float>(i * 7919 % 1009) / 1009.0f - 0.5f;
  const auto q = heads<const float>(qkv.data(), p, width, 0),
             k = heads<const float>(qkv.data(), p, width, p.H),
             v = heads<const float>(qkv.data(), p, width, 2 * p.H);
  std::vector<double> forward, backward, both;
  const double peak = measure_peak_flops() / 1e9;
  for (int round = -1; round < rounds; ++round) {  // round -1 warms up
    const double f = seconds([&] {
      attention_forward<float>(Cpu{}, sizes, q, k, v, heads<float>(y.data(), p, out, 0), lse.data());
    });
    const double b = seconds([&] {
      attention_backward<float>(
          Cpu{}, sizes, q, k, v, heads<const float>(y.data(), p, out, 0),
          heads<const float>(dy.data(), p, out, 0), lse.data(), heads<float>(dqkv.data(), p, width, 0),
          heads<float>(dqkv.data(), p, width, p.H), heads<float>(dqkv.data(), p, width, 2 * p.H));
    });
    if (round < 0) continue;
    forward.push_back(f), backward.push_back(b), both.push_back(f + b);
  }
  const double product = 1e-9 * static_cast<double>(p.B * p.H * p.D * p.T * (p.T + 1));
  std::printf("%s: B %ld, H %ld, T %ld, D %ld, %d thread%s, peak %.0f GFLOP/s (%s)\n", p.name, long{p.B},
              long{p.H}, long{p.T}, long{p.D}, threads, threads == 1 ? "" : "s", peak, isa_name(isa()));
  const auto print = [&](const char* pass, const std::vector<double>& times, double gflop) {
    const double time = quantile(times, 0.5), best = *std::min_element(times.begin(), times.end());
    std::printf("  %-9s %8.3f ms  %6.1f GFLOP/s  %3.0f %% of peak;  best %8.3f ms  %3.0f %%\n", pass,
                time * 1e3, gflop / time, 100 * gflop / time / peak, best * 1e3, 100 * gflop / best / peak);
  };
  print("forward", forward, 2 * product);
  print("backward", backward, 5 * product);
  print("both", both, 7 * product);
}

}  // namespace

int main(int argc, char** argv) {
  int threads = galvan::threads(), rounds = 51;
  CLI::App app("Times the attention of one layer, forward and backward.", "bench_attention");
  app.option_defaults()->always_capture_default();
  app.add_option("--threads", threads)->check(CLI::Range(1, 1024));
  app.add_option("--rounds", rounds)->check(CLI::Range(1, 1000000));
  parse_or_exit(app, argc, argv);
  set_threads(threads);
  for (const Preset& preset : kPresets) run(preset, rounds, threads);
}
