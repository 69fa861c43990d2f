// Whole training steps: what they consist of, and, in the checking build, that no access of theirs is a mistake.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <thread>

#include "bench/op_table/tolerance.h"
#include "core/replay.h"
#include "core/variants.h"
#include "training_run.h"

using namespace galvan;

namespace {

// Kernels, copies and fills of a step of preset tiny, of narrower rows, with the branches' kernels or what they stand for.
std::vector<std::string> operations_of_step(const std::string& version) {
  const ChosenVariant attention(variants_of("attention_branch", "cuda"), version);
  const ChosenVariant mlp(variants_of("mlp_branch", "cuda"), version);
  const ChosenVariant loss(variants_of("linear_cross_entropy", "cuda"), version);
  TemporaryDirectory directory;
  // The same kernels do a narrower model's work of shorter sequences: both take whole packs, and both have so few rows that
  // a norm's backward is one launch (768 of 128 columns are those of tiny at batch 12).
  ModelConfig narrow = preset("tiny");
  narrow.width = 64;
  narrow.heads = 2;
  narrow.context = 40;
  TrainingRun run(
      directory.path(),
      {.model = narrow, .dtype = DType::bf16, .adam = true, .dropout = 0, .batch_size = 2, .accumulate = 1},
      2);
  for (int step = 0; step < 2; ++step) run.trainer.train_step();
  return run.trainer.step_operations();
}

void check_count(const std::string& version, std::ptrdiff_t own, std::ptrdiff_t all) {
  const std::vector<std::string> operations = operations_of_step(version);
  std::string text;
  for (const std::string& name : operations) text += name + ' ';
  CAPTURE(text);
  const auto count = static_cast<std::ptrdiff_t>(operations.size());
  CHECK(count > all / 2);
  CHECK(count - std::count(operations.begin(), operations.end(), "cublasLt") <= own);
#ifdef GALVAN_CUDA_SIM  // a card's cublasLt adds some of its sums up in a kernel of its own
  CHECK(count <= all);
#endif
  CHECK(std::count(operations.begin(), operations.end(), "copy") == 0);
}

// Forward, backward, clipping, update and evaluation, with gradient accumulation, have the losses that they have on the CPU:
// one by one, recorded, and replayed.
void check_losses(TrainingKind kind) {
  constexpr int64_t kSteps = 3;
  TemporaryDirectory directory;
  const auto train = [&](Device device, const char* folder) {
    kind.device = device;
    TrainingRun run(directory.path() / folder, kind, kSteps);
    run.go();
    return run.losses;
  };
  const std::vector<double> card = train(kCuda, "card"), host = train(kCpu, "host");
  CAPTURE(std::string(name(kind.dtype)));
  REQUIRE(card.size() == kSteps);
  for (size_t k = 0; k < card.size(); ++k)
    CHECK(std::fabs(card[k] - host[k]) <= static_cast<double>(k + 1) * tolerance(kind.dtype, 64, host[k]));
}

}  // namespace

TEST_CASE(
    "a step of the preset tiny is at most 92 kernels, copies and fills, or 54 in kernels for narrow rows") {
  check_count("composed", 45, 92);
  check_count("one_kernel", 37, 54);
}

TEST_CASE("steps of a very small model, in f32 and bf16, with every access checked") {
  for (const DType dtype : {DType::f32, DType::bf16})
    check_losses({.model = {.context = 8, .layers = 1, .heads = 2, .width = 16},
                  .dtype = dtype,
                  .adam = dtype == DType::bf16,
                  .batch_size = 2,
                  .accumulate = 2});
}

TEST_CASE("steps of a small model in kernels for narrow rows, with every access checked") {
  check_losses({.model = {.context = 40, .layers = 1, .heads = 2, .width = 64},
                .dtype = DType::bf16,
                .adam = true,
                .dropout = 0,
                .batch_size = 2,
                .accumulate = 2});
}

TEST_CASE("steps of two replicas of a very small model in one, with every access checked") {
  TemporaryDirectory directory;
  const auto run_of = [&](int i, const std::string& name) {
    return std::make_unique<TrainingRun>(
        directory.path() / (name + std::to_string(i)),
        TrainingKind{.model = {.context = 8, .layers = 1, .heads = 2, .width = 16},
                     .dtype = DType::bf16,
                     .adam = true,
                     .batch_size = 2,
                     .accumulate = 1,
                     .model_seed = static_cast<uint64_t>(i + 1)},
        3);
  };
  std::vector<std::vector<double>> losses(2);
  ReplayGroup group(kCuda, 2);
  std::vector<std::thread> threads;
  for (int i = 0; i < 2; ++i)
    threads.emplace_back([&, i] {
      const ReplayGroup::Member member(group);
      const auto run = run_of(i, "together");
      for (int step = 0; step < 3; ++step)
        losses[static_cast<size_t>(i)].push_back(run->trainer.train_step().loss);
    });
  for (std::thread& thread : threads) thread.join();
  CHECK(!group.operations().empty());
  for (int i = 0; i < 2; ++i) {
    const auto alone = run_of(i, "alone");
    for (const double loss : losses[static_cast<size_t>(i)])
      CHECK(std::fabs(loss - alone->trainer.train_step().loss) <= 3 * tolerance(DType::bf16, 64, loss));
  }
}
