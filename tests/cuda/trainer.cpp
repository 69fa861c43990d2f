// Whole training steps on the card: they follow the CPU's, replayed or not, and resume exactly.
#include "training_run.h"

#include <doctest/doctest.h>

#include <cmath>

#include "bench/op_table/tolerance.h"

using namespace galvan;

TEST_CASE("training on the card follows the CPU's losses") {
  TemporaryDirectory directory;
  for (const bool adam : {false, true})
    for (const DType dtype : {DType::f64, DType::f32}) {
      CAPTURE(adam);
      CAPTURE(std::string(name(dtype)));
      const std::string kind = std::string(adam ? "adam-" : "sgd-") + name(dtype);
      constexpr int64_t kSteps = 6;
      TrainingRun card(directory.path() / (kind + "-card"), {.dtype = dtype, .adam = adam}, kSteps);
      TrainingRun host(directory.path() / (kind + "-host"), {.device = kCpu, .dtype = dtype, .adam = adam},
                       kSteps);
      card.go();
      host.go();
      REQUIRE(card.losses.size() == kSteps);
      // The longest sum is over a step's tokens; an error lives on from step to step.
      const int64_t length = 2 * 4 * 16;
      for (size_t k = 0; k < card.losses.size(); ++k)
        CHECK(std::fabs(card.losses[k] - host.losses[k]) <=
              static_cast<double>(k + 1) * tolerance(dtype, length, host.losses[k]));
      REQUIRE(card.evaluations.size() == host.evaluations.size());
      for (size_t i = 0; i < card.evaluations.size(); ++i)
        CHECK(std::fabs(card.evaluations[i].loss - host.evaluations[i].loss) <=
              static_cast<double>(kSteps) * tolerance(dtype, length, host.evaluations[i].loss));
    }
}

TEST_CASE("bf16 with f32 masters stays near f32") {
  TemporaryDirectory directory;
  TrainingRun narrow(directory.path() / "bf16", {.dtype = DType::bf16, .adam = true, .dropout = 0}, 20);
  TrainingRun wide(directory.path() / "f32", {.dtype = DType::f32, .adam = true, .dropout = 0}, 20);
  narrow.go();
  wide.go();
  CHECK(wide.losses.back() < wide.losses.front() - 0.3);  // there is something to follow
  for (size_t k = 0; k < wide.losses.size(); ++k)
    CHECK(std::fabs(narrow.losses[k] - wide.losses[k]) < 0.03);  // docs/training.md
}

TEST_CASE("N steps replayed are N steps run one by one, bit for bit") {
  TemporaryDirectory directory;
  for (const bool adam : {false, true}) {
    CAPTURE(adam);
    const std::string kind = adam ? "adam" : "sgd";
    TrainingRun replayed(directory.path() / (kind + "-replayed"), {.replay = true, .adam = adam}, 9);
    TrainingRun plain(directory.path() / (kind + "-plain"), {.replay = false, .adam = adam}, 9);
    replayed.go();
    plain.go();
    CHECK(replayed.losses == plain.losses);
    CHECK(values_of(replayed.model.parameters()) == values_of(plain.model.parameters()));
    CHECK(values_of(replayed.optimizer->state()) == values_of(plain.optimizer->state()));
    for (size_t i = 0; i < plain.evaluations.size(); ++i)
      CHECK(replayed.evaluations[i].loss == plain.evaluations[i].loss);
    // Each step another learning rate, another mask, another batch: were one of them frozen, losses would show it.
    for (size_t k = 1; k < plain.losses.size(); ++k) CHECK(plain.losses[k] != plain.losses[k - 1]);
  }
}

TEST_CASE("after the first steps, training takes no memory from the card") {
  TemporaryDirectory directory;
  TrainingRun run(directory.path(), {}, 20);
  for (int i = 0; i < 2; ++i) run.trainer.train_step();
  const MemoryStats before = memory_stats(kCuda);
  for (int i = 0; i < 6; ++i) run.trainer.train_step();
  CHECK(memory_stats(kCuda).system_allocations == before.system_allocations);
  CHECK(memory_stats(kCuda).bytes_in_use == before.bytes_in_use);
}

TEST_CASE("a run on the card resumed after a kill ends as one that was never stopped") {
  TemporaryDirectory directory;
  TrainingRun whole(directory.path() / "whole", {}, 9);
  whole.go();
  {
    TrainingRun first(directory.path() / "cut", {}, 9);
    struct Killed {};
    Trainer trainer({first.model, *first.optimizer, first.schedule, *first.tokenizer, first.tokens,
                     split_tokens(first.tokens.size(), 0.2)},
                    {.steps = 9,
                     .batch_size = 4,
                     .accumulate = 2,
                     .clip = 0.5,
                     .eval_every = 5,
                     .save_every = 4,
                     .seed = 5},
                    {.on_step = [&](const StepReport& report) {
                      if (report.step == 7) throw Killed();
                    }});
    const std::atomic<bool> stop = false;
    CHECK_THROWS_AS(trainer.run(first.folder, stop), Killed);
  }
  TrainingRun second(directory.path() / "cut", {}, 9);
  second.resume();
  CHECK(second.trainer.step() > 0);
  CHECK(second.trainer.step() < 7);
  CHECK(second.go() == Ending::finished);
  CHECK(values_of(second.model.parameters()) == values_of(whole.model.parameters()));
  CHECK(values_of(second.optimizer->state()) == values_of(whole.optimizer->state()));
}

TEST_CASE("on the card, too, NaN stops every later update and is named") {
  TemporaryDirectory directory;
  TrainingRun burst(directory.path(), {.max_lr = 1e30}, 30);
  try {
    burst.go();
    FAIL("no error");
  } catch (const NonFiniteError& error) {
    CHECK(std::string(error.what()).find("First bad value: ") != std::string::npos);
  }
  const auto saved = load_model(burst.folder / "current");
  CHECK(values_of(saved.model->parameters()) == values_of(burst.model.parameters()));
  CHECK(static_cast<int64_t>(burst.losses.size()) == burst.trainer.step());
}
