// What is recorded and replayed is what would have run.
#include "core/replay.h"

#include <doctest/doctest.h>

#include "core/autograd.h"
#include "core/ops.h"

using namespace galvan;

namespace {

// A recurrence, all on the card: each run goes on from what the last one left.
Tensor iterate(bool record, int runs) {
  const NoGrad guard;
  const Tensor x = Tensor::uniform({33, 65}, {.seed = 1, .tensor = {.device = kCuda}});
  Replay replay(kCuda, record);
  for (int i = 0; i < runs; ++i) replay.run([&] { x.copy_(softmax(x * 3.0) + tanh(x) * 0.5); });
  CHECK(!replay.operations().empty() == (record && runs > 1));
  return x.to(kCpu);
}

}  // namespace

TEST_CASE("N runs give the same bits recorded and not") {
  for (const int runs : {1, 2, 3, 7})
    CHECK(iterate(true, runs).to_vector() == iterate(false, runs).to_vector());
}

TEST_CASE("a replay takes no memory, and nobody is given what it works on") {
  const NoGrad guard;
  const Tensor x = Tensor::ones({1000}, {.device = kCuda});
  Replay replay(kCuda);
  const auto run = [&] { replay.run([&] { x.copy_(x * 2.0 - x * 0.5); }); };
  run();
  const MemoryStats before = memory_stats(kCuda);
  run();
  // Of the size of what the body made: must not be in its place.
  const Tensor mine = Tensor::full({1000}, 7.0, {.device = kCuda}),
               other = Tensor::full({1000}, 8.0, {.device = kCuda});
  for (int i = 0; i < 5; ++i) run();
  CHECK(memory_stats(kCuda).system_allocations <= before.system_allocations + 2);  // mine and other
  CHECK(mine.to_vector() == std::vector<double>(1000, 7.0));
  CHECK(other.to_vector() == std::vector<double>(1000, 8.0));
}

TEST_CASE("a body that fails while it is recorded leaves the device usable") {
  const NoGrad guard;
  const Tensor x = Tensor::ones({10}, {.device = kCuda});
  Replay replay(kCuda);
  int runs = 0;
  const auto body = [&] {
    x.copy_(x + 1.0);
    if (++runs == 2) fail("the body fails");
  };
  replay.run(body);
  CHECK_THROWS_WITH_AS(replay.run(body), "the body fails", Error);
  CHECK(max(x).item() == 2.0);  // the recorded addition has not run
  replay.run(body);
  CHECK(max(x).item() == 3.0);
}
