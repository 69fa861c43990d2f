// What is known of launches, and how long they take (core/cuda_backend.h).
#include <algorithm>

#include "core/cuda_backend.h"
#include "core/tensor.h"
#include "cuda/runtime/check.h"
#include "cuda/runtime/cycles.h"
#include "cuda/runtime/stream.h"
#ifdef GALVAN_CUDA_SIM
#include "cuda/sim/counts.h"
#include "cuda/sim/launch_log.h"
#endif

namespace galvan::cuda_backend {
#ifdef GALVAN_CUDA_SIM

std::vector<LaunchFacts> launches_of(Device device, const std::function<void()>& body) {
  GALVAN_CUDA_CALL(cudaStreamSynchronize(stream(device)));  // what was put there before is not the body's
  sim::start_launch_log();
  sim::start_counting();
  body();
  GALVAN_CUDA_CALL(cudaStreamSynchronize(stream(device)));
  const std::vector<sim::Counts> counts = sim::take_counts();  // none, where accesses are not watched
  std::vector<LaunchFacts> all;
  for (const sim::LoggedLaunch& launch : sim::take_launch_log()) {
    LaunchFacts facts{.kernel = launch.kernel,
                      .shared_bytes = static_cast<int64_t>(launch.shared_bytes),
                      .registers = static_cast<int>(launch.registers),
                      .occupancy = sim::occupancy(launch.block.x * launch.block.y * launch.block.z,
                                                  launch.registers, launch.shared_bytes)};
    const unsigned sizes[2][3] = {{launch.grid.x, launch.grid.y, launch.grid.z},
                                  {launch.block.x, launch.block.y, launch.block.z}};
    std::copy(sizes[0], sizes[0] + 3, facts.grid);
    std::copy(sizes[1], sizes[1] + 3, facts.block);
    if (all.size() < counts.size()) {
      const sim::Counts& c = counts[all.size()];
      check(c.kernel == launch.kernel, "cuda: ", c.kernel, " was counted where ", launch.kernel,
            " was launched");
      facts.counted = true;
      facts.bytes_read = static_cast<int64_t>(c.distinct_bytes_read);
      facts.bytes_written = static_cast<int64_t>(c.distinct_bytes_written);
      facts.sectors = static_cast<int64_t>(c.sectors);
      facts.shared_transactions = static_cast<int64_t>(c.shared_transactions);
      facts.bank_conflicts = static_cast<int64_t>(c.bank_conflicts);
      facts.barriers = static_cast<int64_t>(c.barriers);
    }
    all.push_back(std::move(facts));
  }
  return all;
}

#else

std::vector<LaunchFacts> launches_of(Device device, const std::function<void()>& body) {
  return capture(device, body).launches();
}

#endif

namespace {

constexpr double kShort = 1e-4;  // seconds; beside what takes less, the start of a graph and its events count
constexpr int64_t kTogether = 20;
constexpr int64_t kCycles = 2'000'000;  // about a millisecond, beside which a launch is short

}  // namespace

CardTimes time_on_card(Device device, const std::function<void()>& body, int samples) {
  MemoryPool pool(device);  // a replayed kernel finds its memory where it was
  const int64_t bytes = card(device).simulated ? int64_t{1} << 10 : int64_t{1} << 28;  // no cache holds it
  Tensor flushed = Tensor::zeros({bytes / 4}, {.device = device});
  const auto recorded = [&](int64_t calls, bool flushes, bool runs) {
    const MemoryPool::Use guard(pool);
    return capture(device, [&] {
      for (int64_t i = 0; i < calls; ++i) {
        if (flushes) flushed.fill_(1.0);
        if (runs) body();
      }
    });
  };
  const Event begin, end;
  const auto seconds_of = [&](const Graph& graph) {
    begin.record(stream(device));
    graph.launch();
    end.record(stream(device));
    return 1e-3 * static_cast<double>(end.since(begin));
  };
  {
    const MemoryPool::Use guard(pool);
    body();  // algorithms are chosen, and memory is there, before anything is recorded
  }
  const Graph once = recorded(1, false, true);
  seconds_of(once);
  const int64_t calls = seconds_of(once) < kShort ? kTogether : 1;
  const Graph warm = recorded(calls, false, true), cold = recorded(calls, true, true),
              flush = recorded(calls, true, false);
  for (const Graph* graph : {&warm, &cold, &flush}) seconds_of(*graph);
  CardTimes times;
  for (int i = 0; i < samples; ++i) {
    times.warm.push_back(seconds_of(warm) / static_cast<double>(calls));
    // What emptying the cache takes is measured by itself, and taken off.
    const double both = seconds_of(cold), alone = seconds_of(flush);
    times.cold.push_back(std::max(both - alone, 0.0) / static_cast<double>(calls));
  }
  if (!card(device).simulated) {
    begin.record(stream(device));
    wait_cycles(stream(device), kCycles);
    end.record(stream(device));
    times.clock = kCycles / (1e-3 * static_cast<double>(end.since(begin)));
  }
  return times;
}

}  // namespace galvan::cuda_backend
