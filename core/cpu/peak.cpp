#include "core/cpu/peak.h"

#include <algorithm>
#include <chrono>
#include <vector>

#include "core/cpu/simd/peak.h"
#include "core/parallel.h"

namespace galvan {

double measure_peak_gflops(int threads) {
  constexpr int64_t kRounds = 100'000;
  constexpr int kRuns = 5;
  std::vector<float> sink(static_cast<size_t>(threads) * 16);  // one cache line a thread
  std::vector<double> rates;
  for (int run = 0; run < kRuns; ++run) {
    const auto start = std::chrono::steady_clock::now();
    int64_t flops = 0;
    with_isa([&]<Isa isa>() {
      flops = fma_flops_per_round<isa>() * kRounds * threads;
      parallel_for(threads, [&](int64_t task) { sink[task * 16] = fma_rounds<isa>(kRounds); });
    });
    const std::chrono::duration<double> time = std::chrono::steady_clock::now() - start;
    rates.push_back(static_cast<double>(flops) / time.count() / 1e9);
  }
  std::nth_element(rates.begin(), rates.begin() + kRuns / 2, rates.end());
  return rates[kRuns / 2];
}

}  // namespace galvan
