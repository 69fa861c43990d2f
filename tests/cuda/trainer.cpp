// Whole training steps on the card: they follow the CPU's, replayed or not, and resume exactly.
#include "models/trainer.h"

#include <doctest/doctest.h>

#include <cmath>

#include "optim/adam.h"
#include "optim/sgd.h"
#include "tests/core/tolerance.h"
#include "tests/models/small_model.h"
#include "tests/models/temporary_directory.h"

using namespace galvan;
namespace fs = std::filesystem;

namespace {

constexpr int64_t kVocab = 65;

ModelConfig model_config(double dropout) {
  return {.vocab = kVocab, .context = 16, .layers = 2, .heads = 2, .width = 32, .dropout = dropout};
}

struct Kind {
  Device device = kCuda;
  DType dtype = DType::f32;
  bool replay = true;
  bool adam = false;
  double dropout = 0.1;
  double max_lr = 0.3;
};

// SGD under a cyclic schedule, or AdamW, of a model whose token streams have something to learn.
struct Run {
  Run(const fs::path& path, const Kind& kind, int64_t steps)
      : folder(path),
        tokens(text(), kVocab),
        tokenizer(CharacterTokenizer::train(alphabet())),
        model(model_config(kind.dropout),
              {.seed = 1, .tensor = {.dtype = kind.dtype, .device = kind.device}}),
        schedule(CyclicLR{.base_lr = kind.max_lr * (kind.adam ? 0.001 : 0.1),
                          .max_lr = kind.max_lr * (kind.adam ? 0.01 : 1.0),
                          .step_size_up = 3,
                          .base_momentum = 0.85,
                          .max_momentum = 0.95}),
        optimizer(
            kind.adam
                ? std::unique_ptr<Optimizer>(new AdamW(model.parameters(), {.lr = 0.01, .weight_decay = 0.1}))
                : std::unique_ptr<Optimizer>(new SGD(model.parameters(), {.lr = 0.1, .momentum = 0.9}))),
        trainer({.model = model,
                 .optimizer = *optimizer,
                 .schedule = schedule,
                 .tokenizer = *tokenizer,
                 .tokens = tokens,
                 .split = split_tokens(tokens.size(), 0.2)},
                {.steps = steps,
                 .batch_size = 4,
                 .accumulate = 2,
                 .clip = 0.5,
                 .eval_every = 5,
                 .save_every = 4,
                 .seed = 5,
                 .replay = kind.replay},
                {.on_step = [this](const StepReport& report) { losses.push_back(report.loss); },
                 .on_evaluation = [this](int64_t, const Evaluation& e, bool) { evaluations.push_back(e); }}) {
    make_directories(folder);
  }

  static std::vector<int32_t> text() {
    std::vector<int32_t> ids(700);
    for (size_t i = 0; i < ids.size(); ++i) ids[i] = static_cast<int32_t>(i * i / 3 % kVocab);
    return ids;
  }
  static std::string alphabet() {
    std::string all;
    for (int i = 0; i < kVocab; ++i) all += static_cast<char>('0' + i);
    return all;
  }
  Ending go() {
    const std::atomic<bool> stop = false;
    return trainer.run(folder, stop);
  }
  void resume() {
    const fs::path from = resolve_checkpoint(folder);
    load_weights(from, model);
    trainer.resume(load_training_state(from));
  }

  fs::path folder;
  TokenArray tokens;
  std::unique_ptr<Tokenizer> tokenizer;
  Transformer model;
  Schedule schedule;
  std::unique_ptr<Optimizer> optimizer;
  std::vector<double> losses;
  std::vector<Evaluation> evaluations;
  Trainer trainer;
};

}  // namespace

TEST_CASE("training on the card follows the CPU's losses") {
  TemporaryDirectory directory;
  for (const bool adam : {false, true})
    for (const DType dtype : {DType::f64, DType::f32}) {
      CAPTURE(adam);
      CAPTURE(std::string(name(dtype)));
      const std::string kind = std::string(adam ? "adam-" : "sgd-") + name(dtype);
      constexpr int64_t kSteps = 6;
      Run card(directory.path() / (kind + "-card"), {.dtype = dtype, .adam = adam}, kSteps);
      Run host(directory.path() / (kind + "-host"), {.device = kCpu, .dtype = dtype, .adam = adam}, kSteps);
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
  Run narrow(directory.path() / "bf16", {.dtype = DType::bf16, .adam = true, .dropout = 0}, 20);
  Run wide(directory.path() / "f32", {.dtype = DType::f32, .adam = true, .dropout = 0}, 20);
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
    Run replayed(directory.path() / (kind + "-replayed"), {.replay = true, .adam = adam}, 9);
    Run plain(directory.path() / (kind + "-plain"), {.replay = false, .adam = adam}, 9);
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
  Run run(directory.path(), {}, 20);
  for (int i = 0; i < 2; ++i) run.trainer.train_step();
  const MemoryStats before = memory_stats(kCuda);
  for (int i = 0; i < 6; ++i) run.trainer.train_step();
  CHECK(memory_stats(kCuda).system_allocations == before.system_allocations);
  CHECK(memory_stats(kCuda).bytes_in_use == before.bytes_in_use);
}

TEST_CASE("a run on the card resumed after a kill ends as one that was never stopped") {
  TemporaryDirectory directory;
  Run whole(directory.path() / "whole", {}, 9);
  whole.go();
  {
    Run first(directory.path() / "cut", {}, 9);
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
  Run second(directory.path() / "cut", {}, 9);
  second.resume();
  CHECK(second.trainer.step() > 0);
  CHECK(second.trainer.step() < 7);
  CHECK(second.go() == Ending::finished);
  CHECK(values_of(second.model.parameters()) == values_of(whole.model.parameters()));
  CHECK(values_of(second.optimizer->state()) == values_of(whole.optimizer->state()));
}

TEST_CASE("on the card, too, NaN stops every later update and is named") {
  TemporaryDirectory directory;
  Run burst(directory.path(), {.max_lr = 1e30}, 30);
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
