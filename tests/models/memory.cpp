// In the steady state a training step takes no memory from the system, and touches no page that it did not touch before.
#include <doctest/doctest.h>
#include <sys/resource.h>

#include "core/allocator.h"
#include "core/autograd.h"
#include "optim/sgd.h"
#include "tests/models/small_model.h"

using namespace galvan;

namespace {

#ifdef __has_feature
#if __has_feature(address_sanitizer)
#define __SANITIZE_ADDRESS__ 1  // clang says it this way
#endif
#endif

// Less than one a step. The sanitizers keep what was freed, so that they touch new pages all the time.
#ifdef __SANITIZE_ADDRESS__
constexpr int64_t kFewFaults = int64_t{1} << 40;
#else
constexpr int64_t kFewFaults = 20;
#endif

int64_t page_faults() {
  rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_minflt + usage.ru_majflt;
}

}  // namespace

TEST_CASE("a training step reuses its memory") {
  for (ModelConfig config : {small_gpt2(), small_llama()})
    for (bool recompute : {false, true}) {
      config.recompute = recompute;
      config.dropout = 0.1;
      config.context = 32;
      config.width = 96;
      const Transformer model(config);
      SGD optimizer(model.parameters(), {.lr = 0.01, .momentum = 0.9});
      const Tensor ids = some_tokens(8, 33, config.vocab);
      const auto step = [&] {
        RandomContext::current().begin(1, 0, 0);
        model.loss(ids.slice(1, 0, 32), ids.slice(1, 1, 33)).backward();
        optimizer.step({.clip_norm = 1.0});
        optimizer.zero_grad();
      };
      step();
      step();
      const MemoryStats before = memory_stats();
      const int64_t faults = page_faults();
      for (int i = 0; i < 20; ++i) step();
      CHECK(memory_stats().system_allocations == before.system_allocations);
      CHECK(memory_stats().bytes_in_use == before.bytes_in_use);
      CHECK(page_faults() - faults < kFewFaults);
    }
}
