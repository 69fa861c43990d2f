// The matrix products of a training step of two presets, by our kernels and by Eigen, beside the processor's
// peak measured in the same run.
//
//   bench_gemm --threads 1 --take best --rounds 30        (--help: all options)
//
// Every round computes every product once by each backend, so that all share the noise of the machine; the times
// are medians over the rounds or, with --take best for a machine that others use too, the best ones. A whole round
// is some tens of megabytes: operands come from where they come from in training, the outer caches. `count` is how
// often a step needs the product.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "bench/command_line.h"
#include "core/check.h"
#include "core/cpu/gemm.h"
#include "core/cpu/peak.h"
#include "core/cpu/simd/isa.h"
#include "core/parallel.h"

using namespace galvan;

namespace {

struct Options {
  int threads = galvan::threads();
  int rounds = 15;
  bool best = false;  // instead of the median
  std::string json;
};

struct Linear {
  int64_t in, out;
  int count;  // of layers that have it
};

struct Preset {
  const char* name;
  int64_t tokens;
  std::vector<Linear> linears;
};

const Preset kPresets[] = {
    {"tiny, batch 12", 768, {{128, 384, 4}, {128, 128, 4}, {128, 512, 4}, {512, 128, 4}, {128, 65, 1}}},
    {"shakespeare-char, batch 8",
     2048,
     {{384, 1152, 6}, {384, 384, 6}, {384, 1536, 6}, {1536, 384, 6}, {384, 65, 1}}},
};

double taken(std::vector<double> times, const Options& options) {
  std::sort(times.begin(), times.end());
  return options.best ? times.front() : times[times.size() / 2];
}

double seconds(const std::function<void()>& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

struct Product {
  const char* pass;
  Gemm<float, float> gemm;
  int count;
  std::vector<float> a, b, c;
  std::vector<double> packed_s, eigen_s;

  Product(const char* pass, const Gemm<float, float>& g, int count)
      : pass(pass), gemm(g), count(count), a(g.m * g.k), b(g.k * g.n), c(g.m * g.n) {
    for (size_t i = 0; i < a.size(); ++i) a[i] = static_cast<float>(i % 13) - 6;
    for (size_t i = 0; i < b.size(); ++i) b[i] = static_cast<float>(i % 11) - 5;
  }
  double gflop() const { return 2e-9 * static_cast<double>(gemm.m * gemm.n * gemm.k); }
};

// What a step computes for y = x W^T with x [tokens, in] and W [out, in].
std::vector<Product> products_of(const Preset& preset) {
  std::vector<Product> products;
  const int64_t tokens = preset.tokens;
  for (const auto& [in, out, count] : preset.linears) {
    products.emplace_back(
        "y=xW'",
        Gemm<float, float>{
            .m = tokens, .n = out, .k = in, .lda = in, .ldb = in, .transpose_b = true, .ldc = out},
        count);
    products.emplace_back(
        "dx=dyW", Gemm<float, float>{.m = tokens, .n = in, .k = out, .lda = out, .ldb = in, .ldc = in},
        count);
    products.emplace_back(
        "dW=dy'x",
        Gemm<float, float>{
            .m = out, .n = in, .k = tokens, .lda = out, .transpose_a = true, .ldb = in, .ldc = in},
        count);
  }
  for (Product& product : products) {
    product.gemm.a = product.a.data();
    product.gemm.b = product.b.data();
    product.gemm.c = product.c.data();
  }
  return products;
}

nlohmann::json run(const Preset& preset, const Options& options) {
  std::vector<Product> products = products_of(preset);
  std::vector<double> peaks;                               // their reciprocals, as times
  for (int round = -1; round < options.rounds; ++round) {  // round -1 warms up
    peaks.push_back(1e9 / measure_peak_flops(0.02));
    for (Product& product : products) {
      const double packed = seconds([&] { gemm_packed(product.gemm); });
      if (round >= 0) product.packed_s.push_back(packed);
    }
    for (Product& product : products) {
      const double eigen = seconds([&] { gemm_eigen(product.gemm); });
      if (round >= 0) product.eigen_s.push_back(eigen);
    }
  }
  const double peak = 1 / taken(peaks, options);

  std::printf("\n%s, %d thread%s, peak %.0f GFLOP/s (%s)\n", preset.name, options.threads,
              options.threads == 1 ? "" : "s", peak, isa_name(isa()));
  std::printf("  %-8s %5s %5s %5s  count   packed ms  of peak    Eigen ms  of peak\n", "", "M", "N", "K");
  nlohmann::json rows = nlohmann::json::array();
  double packed_total = 0, eigen_total = 0, gflop_total = 0;
  const auto percent = [&](double gflop, double time) { return 100 * gflop / time / peak; };
  for (const Product& product : products) {
    const double packed = taken(product.packed_s, options), eigen = taken(product.eigen_s, options),
                 gflop = product.gflop();
    const auto& g = product.gemm;
    std::printf("  %-8s %5ld %5ld %5ld  %5d  %10.3f    %3.0f %%  %10.3f    %3.0f %%\n", product.pass,
                long{g.m}, long{g.n}, long{g.k}, product.count, packed * 1e3, percent(gflop, packed),
                eigen * 1e3, percent(gflop, eigen));
    rows.push_back({{"pass", product.pass},
                    {"m", g.m},
                    {"n", g.n},
                    {"k", g.k},
                    {"count", product.count},
                    {"packed_ms", packed * 1e3},
                    {"eigen_ms", eigen * 1e3}});
    packed_total += packed * product.count;
    eigen_total += eigen * product.count;
    gflop_total += gflop * product.count;
  }
  std::printf("  %-33s %10.3f    %3.0f %%  %10.3f    %3.0f %%\n", "a step", packed_total * 1e3,
              percent(gflop_total, packed_total), eigen_total * 1e3, percent(gflop_total, eigen_total));
  return {{"preset", preset.name},         {"threads", options.threads},
          {"isa", isa_name(isa())},        {"peak_gflops", peak},
          {"step_gflop", gflop_total},     {"packed_ms", packed_total * 1e3},
          {"eigen_ms", eigen_total * 1e3}, {"products", rows}};
}

Options parse(int argc, char** argv) {
  Options options;
  std::string take = "median", isa_wanted = isa_name(isa());
  CLI::App app("Times the matrix products of a training step, by our kernels and by Eigen.", "bench_gemm");
  app.option_defaults()->always_capture_default();
  app.add_option("--threads", options.threads)->check(CLI::Range(1, 1024));
  app.add_option("--rounds", options.rounds, "of which each computes every product once by each backend")
      ->check(CLI::Range(1, 1000000));
  app.add_option("--isa", isa_wanted, "the instructions that our kernels use")
      ->check(CLI::IsMember({"baseline", "avx2", "avx512"}));
  app.add_option("--take", take, "of the rounds' times; best where others use the machine too")
      ->check(CLI::IsMember({"median", "best"}));
  app.add_option("--json", options.json, "a file for the results");
  parse_or_exit(app, argc, argv);
  options.best = take == "best";
  for (const Isa each : {Isa::baseline, Isa::avx2, Isa::avx512})
    if (isa_wanted == isa_name(each)) set_isa(each);
  set_threads(options.threads);
  return options;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    const Options options = parse(argc, argv);
    nlohmann::json results = nlohmann::json::array();
    for (const Preset& preset : kPresets) results.push_back(run(preset, options));
    if (!options.json.empty()) {
      std::ofstream file(options.json);
      file << results.dump(2) << '\n';
      file.close();
      check(!file.fail(), "bench_gemm: cannot write ", options.json);
    }
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
