#include "core/cpu/peak.h"

#include <algorithm>
#include <chrono>
#include <vector>

#include "core/cpu/simd/peak.h"
#include "core/parallel.h"

namespace galvan {

double measure_peak_flops(double seconds) {
  constexpr int kRuns = 5;
  const int tasks = threads();
  std::vector<float> sink(static_cast<size_t>(tasks) * 16);  // a cache line each
  return with_isa([&]<Isa isa>() {
    const auto time_of = [&](int64_t rounds) {
      const auto start = std::chrono::steady_clock::now();
      parallel_for(tasks,
                   [&](int64_t task) { sink[static_cast<size_t>(task) * 16] = fma_rounds<isa>(rounds); });
      return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    };
    int64_t rounds = 1000;
    double time = time_of(rounds);
    while (time < seconds / kRuns / 2 && rounds < (int64_t{1} << 40)) time = time_of(rounds *= 2);
    for (int run = 1; run < kRuns; ++run) time = std::min(time, time_of(rounds));
    return static_cast<double>(fma_flops_per_round<isa>()) * static_cast<double>(rounds) * tasks / time;
  });
}

}  // namespace galvan
