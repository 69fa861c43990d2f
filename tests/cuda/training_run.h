// A small model, trained on the card or the CPU for the tests of this folder.
#pragma once

#include "models/trainer.h"
#include "optim/adam.h"
#include "optim/sgd.h"
#include "tests/models/small_model.h"
#include "tests/models/temporary_directory.h"

namespace galvan {

inline constexpr int64_t kTrainingVocab = 65;

struct TrainingKind {
  ModelConfig model = {
      .context = 16, .layers = 2, .heads = 2, .width = 32};  // the vocabulary and dropout are set
  Device device = kCuda;
  DType dtype = DType::f32;
  bool replay = true;
  bool adam = false;
  double dropout = 0.1;
  double max_lr = 0.3;
  int64_t batch_size = 4, accumulate = 2;
  uint64_t model_seed = 1, seed = 5;
};

// SGD under a cyclic schedule, or AdamW, of a model whose token streams have something to learn.
struct TrainingRun {
  TrainingRun(const std::filesystem::path& path, const TrainingKind& kind, int64_t steps)
      : folder(path),
        tokens(text(), kTrainingVocab),
        tokenizer(CharacterTokenizer::train(alphabet())),
        model(with_vocab(kind),
              {.seed = kind.model_seed, .tensor = {.dtype = kind.dtype, .device = kind.device}}),
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
                 .batch_size = kind.batch_size,
                 .accumulate = kind.accumulate,
                 .clip = 0.5,
                 .eval_every = 5,
                 .save_every = 4,
                 .seed = kind.seed,
                 .replay = kind.replay},
                {.on_step = [this](const StepReport& report) { losses.push_back(report.loss); },
                 .on_evaluation = [this](int64_t, const Evaluation& e, bool) { evaluations.push_back(e); }}) {
    make_directories(folder);
  }

  static ModelConfig with_vocab(const TrainingKind& kind) {
    ModelConfig config = kind.model;
    config.vocab = kTrainingVocab;
    config.dropout = kind.dropout;
    return config;
  }
  static std::vector<int32_t> text() {
    std::vector<int32_t> ids(700);
    for (size_t i = 0; i < ids.size(); ++i) ids[i] = static_cast<int32_t>(i * i / 3 % kTrainingVocab);
    return ids;
  }
  static std::string alphabet() {
    std::string all;
    for (int i = 0; i < kTrainingVocab; ++i) all += static_cast<char>('0' + i);
    return all;
  }
  Ending go() {
    const std::atomic<bool> stop = false;
    return trainer.run(folder, stop);
  }
  void resume() {
    const std::filesystem::path from = resolve_checkpoint(folder);
    load_weights(from, model);
    trainer.resume(load_training_state(from));
  }

  std::filesystem::path folder;
  TokenArray tokens;
  std::unique_ptr<Tokenizer> tokenizer;
  Transformer model;
  Schedule schedule;
  std::unique_ptr<Optimizer> optimizer;
  std::vector<double> losses;
  std::vector<Evaluation> evaluations;
  Trainer trainer;
};

}  // namespace galvan
