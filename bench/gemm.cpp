// The matrix products of a training step of two presets, by our kernels, by Eigen and by any BLAS, beside the
// processor's peak measured in the same run.
//
//   bench_gemm --threads 1 --take best --rounds 30        (--help: all options)
//   bench_gemm --threads 1 --blas libopenblas.so.0        beside a library that has cblas_sgemm: OpenBLAS, MKL, BLIS
//   bench_gemm --threads 1 --ladder 3                     the lower rungs of the ladder too (core/cpu/ladder)
//
// Every round computes every product once by each of them, in turns who begins, so that all share the noise of the
// machine; the times are medians over the rounds or, with --take best for a machine that others use too, the best ones,
// and a ratio is the median over the rounds of the other's time to ours. A whole round is some tens of megabytes:
// operands come from where they come from in training, the outer caches. `count` is how often a step needs the product.
#include <dlfcn.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "apps/bench/verdict.h"
#include "bench/command_line.h"
#include "core/check.h"
#include "core/cpu/gemm.h"
#include "core/cpu/peak.h"
#include "core/cpu/simd/isa.h"
#include "core/parallel.h"
#include "core/tensor.h"
#include "core/variants.h"
#include "models/files.h"

using namespace galvan;

namespace {

struct Options {
  int threads = galvan::threads();
  int rounds = 15;
  int ladder = 0;     // rounds of each lower rung
  bool best = false;  // instead of the median
  std::string preset, json, blas;
};

struct Library {
  std::string name;
  std::function<void(const Gemm<float, float>&)> product;
};

// A shared library's cblas_sgemm, on as many threads as ours.
Library load_blas(const std::string& file, int threads) {
  for (const char* variable :
       {"OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS"})
    ::setenv(variable, std::to_string(threads).c_str(), 1);  // which it reads when it is loaded
  void* const library = ::dlopen(file.c_str(), RTLD_NOW | RTLD_GLOBAL);
  check(library != nullptr, "bench_gemm: --blas: ", library ? "" : ::dlerror());
  using Sgemm = void (*)(int order, int transpose_a, int transpose_b, int m, int n, int k, float alpha,
                         const float* a, int lda, const float* b, int ldb, float beta, float* c, int ldc);
  const auto sgemm = reinterpret_cast<Sgemm>(::dlsym(library, "cblas_sgemm"));
  check(sgemm != nullptr, "bench_gemm: --blas: ", file, " has no cblas_sgemm");
  return {"BLAS", [=](const Gemm<float, float>& g) {
            constexpr int kRowMajor = 101, kAsItIs = 111, kTransposed = 112;
            sgemm(kRowMajor, g.transpose_a ? kTransposed : kAsItIs, g.transpose_b ? kTransposed : kAsItIs,
                  static_cast<int>(g.m), static_cast<int>(g.n), static_cast<int>(g.k), 1, g.a,
                  static_cast<int>(g.lda), g.b, static_cast<int>(g.ldb), 0, g.c, static_cast<int>(g.ldc));
          }};
}

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

double median(std::vector<double> values) { return quantile(std::move(values), 0.5); }

double taken(const std::vector<double>& times, const Options& options) {
  return options.best ? *std::min_element(times.begin(), times.end()) : median(times);
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
  Tensor a, b, c;                            // in memory as training has it: huge pages, where there are any
  std::vector<std::vector<double>> seconds;  // by library and round

  Product(const char* pass, const Gemm<float, float>& g, int count)
      : pass(pass),
        gemm(g),
        count(count),
        a(Tensor::uniform({g.m, g.k}, {.low = -1})),
        b(Tensor::uniform({g.k, g.n}, {.low = -1, .seed = 1})),
        c(Tensor::zeros({g.m, g.n})) {
    gemm.a = a.data<float>();
    gemm.b = b.data<float>();
    gemm.c = c.data<float>();
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
  return products;
}

// Whoever computes something else is not timed.
void check_agreement(Product& product, const std::vector<Library>& libraries) {
  std::vector<double> expected;
  for (const Library& library : libraries) {
    std::fill_n(product.gemm.c, product.gemm.m * product.gemm.n, 0.0f);
    library.product(product.gemm);
    const std::vector<double> got = product.c.to_vector();
    if (expected.empty()) expected = got;
    for (size_t i = 0; i < got.size(); ++i)
      check(std::fabs(got[i] - expected[i]) <= 1e-5 * static_cast<double>(product.gemm.k),
            "bench_gemm: ", library.name, " has another product of ", product.gemm.m, " x ", product.gemm.n,
            " x ", product.gemm.k, " than ours");
  }
}

// Times of a whole step by round.
std::vector<double> steps(const std::vector<Product>& products, size_t library) {
  std::vector<double> sums(products.front().seconds[library].size());
  for (const Product& product : products)
    for (size_t round = 0; round < sums.size(); ++round)
      sums[round] += product.count * product.seconds[library][round];
  return sums;
}

double median_ratio(const std::vector<double>& over, const std::vector<double>& under) {
  std::vector<double> ratios;
  for (size_t round = 0; round < over.size(); ++round) ratios.push_back(over[round] / under[round]);
  return median(ratios);
}

// The share of the peak that each version of matmul reaches: over the products of each pass, and over all.
nlohmann::json run_ladder(std::vector<Product>& products, double peak, const Options& options) {
  nlohmann::json rows = nlohmann::json::array();
  std::printf("  %-14s %9s %9s %9s %12s  of peak\n", "rung", "y=xW'", "dx=dyW", "dW=dy'x", "a step, ms");
  for (Variants* versions : all_variants()) {
    if (versions->kernel() != "matmul" || versions->device() != "cpu") continue;
    for (const Variant& version : versions->all()) {
      versions->choose(version.name);
      std::vector<double> time(3), gflop(3);
      for (size_t i = 0; i < products.size(); ++i) {
        std::vector<double> times;
        for (int round = 0; round < options.ladder; ++round)
          times.push_back(seconds([&] { gemm(products[i].gemm); }));
        time[i % 3] += products[i].count * taken(times, options);
        gflop[i % 3] += products[i].count * products[i].gflop();
      }
      const double step = time[0] + time[1] + time[2], all = gflop[0] + gflop[1] + gflop[2];
      std::printf("  %-14s", std::string(version.name).c_str());
      for (size_t pass = 0; pass < 3; ++pass) std::printf(" %7.1f %%", 100 * gflop[pass] / time[pass] / peak);
      std::printf(" %12.1f  %5.1f %%\n", step * 1e3, 100 * all / step / peak);
      rows.push_back(
          {{"rung", std::string(version.name)}, {"ms", step * 1e3}, {"of_peak", all / step / peak}});
    }
    versions->choose(versions->all().front().name);
  }
  return rows;
}

nlohmann::json run(const Preset& preset, const std::vector<Library>& libraries, const Options& options) {
  std::vector<Product> products = products_of(preset);
  for (Product& product : products) {
    product.seconds.resize(libraries.size());
    check_agreement(product, libraries);
  }
  std::vector<double> peaks;                               // their reciprocals, as times
  for (int round = -1; round < options.rounds; ++round) {  // round -1 warms up
    peaks.push_back(1e9 / measure_peak_flops(0.02));
    for (size_t turn = 0; turn < libraries.size(); ++turn) {
      const size_t l = (turn + static_cast<size_t>(round + 1)) % libraries.size();
      for (Product& product : products) {
        const double taken = seconds([&] { libraries[l].product(product.gemm); });
        if (round >= 0) product.seconds[l].push_back(taken);
      }
    }
  }
  const double peak = 1 / taken(peaks, options);

  std::printf("\n%s, %d thread%s, peak %.0f GFLOP/s (%s)\n", preset.name, options.threads,
              options.threads == 1 ? "" : "s", peak, isa_name(isa()));
  std::printf("  %-8s %5s %5s %5s  count", "", "M", "N", "K");
  for (const Library& library : libraries)
    std::printf("  %7s ms  of peak%s", library.name.c_str(), &library == &libraries[0] ? "" : "  ratio");
  std::puts("");
  // The times of one product, or of a step, by each library.
  const auto print = [&](double gflop, const std::vector<double>& took,
                         const std::vector<std::vector<double>>& times) {
    nlohmann::json row;
    for (size_t l = 0; l < libraries.size(); ++l) {
      const double time = took[l];
      std::printf("  %10.3f    %3.0f %%", time * 1e3, 100 * gflop / time / peak);
      row[libraries[l].name] = {{"ms", time * 1e3}};
      if (l > 0) {
        const double ratio = median_ratio(times[l], times[0]);
        std::printf("   %4.2f", ratio);
        row[libraries[l].name]["ratio"] = ratio;
      }
    }
    std::puts("");
    return row;
  };
  nlohmann::json rows = nlohmann::json::array();
  double gflop = 0;
  std::vector<double> step_took(libraries.size());
  for (const Product& product : products) {
    std::vector<double> took;
    for (size_t l = 0; l < libraries.size(); ++l) {
      took.push_back(taken(product.seconds[l], options));
      step_took[l] += product.count * took[l];
    }
    const auto& g = product.gemm;
    std::printf("  %-8s %5ld %5ld %5ld  %5d", product.pass, long{g.m}, long{g.n}, long{g.k}, product.count);
    rows.push_back({{"pass", product.pass},
                    {"m", g.m},
                    {"n", g.n},
                    {"k", g.k},
                    {"count", product.count},
                    {"times", print(product.gflop(), took, product.seconds)}});
    gflop += product.gflop() * product.count;
  }
  std::vector<std::vector<double>> step;
  for (size_t l = 0; l < libraries.size(); ++l) step.push_back(steps(products, l));
  std::printf("  %-33s", "a step");
  nlohmann::json result = {{"preset", preset.name},  {"threads", options.threads},
                           {"isa", isa_name(isa())}, {"peak_gflops", peak},
                           {"step_gflop", gflop},    {"step", print(gflop, step_took, step)},
                           {"products", rows}};
  if (options.ladder > 0) result["ladder"] = run_ladder(products, peak, options);
  return result;
}

Options parse(int argc, char** argv) {
  Options options;
  std::string take = "median", isa_wanted = isa_name(isa());
  CLI::App app("Times the matrix products of a training step, by our kernels, by Eigen and by any BLAS.",
               "bench_gemm");
  app.option_defaults()->always_capture_default();
  app.add_option("--threads", options.threads)->check(CLI::Range(1, 1024));
  app.add_option("--rounds", options.rounds, "of which each computes every product once by each library")
      ->check(CLI::Range(1, 1000000));
  app.add_option("--ladder", options.ladder,
                 "rounds of each rung of the ladder, of which the lowest takes minutes")
      ->check(CLI::Range(0, 1000));
  app.add_option("--preset", options.preset, "the presets whose names hold this");
  app.add_option("--blas", options.blas, "a shared library with cblas_sgemm, such as libopenblas.so.0");
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
    std::vector<Library> libraries = {{"ours", gemm_packed<float, float>},
                                      {"Eigen", gemm_eigen<float, float>}};
    if (!options.blas.empty()) libraries.push_back(load_blas(options.blas, options.threads));
    nlohmann::json results = nlohmann::json::array();
    for (const Preset& preset : kPresets)
      if (std::string(preset.name).find(options.preset) != std::string::npos)
        results.push_back(run(preset, libraries, options));
    check(!results.empty(), "bench_gemm: no preset is called ", options.preset);
    if (!options.json.empty()) write_file_atomically(options.json, results.dump(2) + "\n");
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
