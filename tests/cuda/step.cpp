// Whole training steps: what they consist of, and, in the checking build, that no access of theirs is a mistake.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "tests/core/tolerance.h"
#include "training_run.h"

using namespace galvan;

TEST_CASE("a step of the preset tiny is at most 90 kernels, copies and fills") {
  TemporaryDirectory directory;
  // The same kernels do a narrower model's work; sizes decide only whether they take whole packs, and do here, too.
  ModelConfig narrow = preset("tiny");
  narrow.width = 32;
  narrow.context = 8;
  TrainingRun run(
      directory.path(),
      {.model = narrow, .dtype = DType::bf16, .adam = true, .dropout = 0, .batch_size = 2, .accumulate = 1},
      2);
  for (int step = 0; step < 2; ++step) run.trainer.train_step();
  const std::vector<std::string> operations = run.trainer.step_operations();
  std::string all;
  for (const std::string& name : operations) all += name + ' ';
  CAPTURE(all);
  CHECK(operations.size() > 60);
  CHECK(operations.size() <= 90);
  CHECK(std::count(operations.begin(), operations.end(), "copy") == 0);
}

// Forward, backward, clipping, update and evaluation, with dropout and gradient accumulation; one by one, recorded, and
// replayed.
TEST_CASE("steps of a very small model, in f32 and bf16, with every access checked") {
  TemporaryDirectory directory;
  for (const DType dtype : {DType::f32, DType::bf16}) {
    const std::string kind = name(dtype);
    CAPTURE(kind);
    const ModelConfig model{.context = 8, .layers = 1, .heads = 2, .width = 16};
    constexpr int64_t kSteps = 3;
    const auto train = [&](Device device) {
      TrainingRun run(directory.path() / (kind + (device == kCuda ? "-card" : "-host")),
                      {.model = model,
                       .device = device,
                       .dtype = dtype,
                       .adam = dtype == DType::bf16,
                       .batch_size = 2,
                       .accumulate = 2},
                      kSteps);
      run.go();
      return run.losses;
    };
    const std::vector<double> card = train(kCuda), host = train(kCpu);
    REQUIRE(card.size() == kSteps);
    for (size_t k = 0; k < card.size(); ++k)
      CHECK(std::fabs(card[k] - host[k]) <= static_cast<double>(k + 1) * tolerance(dtype, 64, host[k]));
  }
}
