// A training run of a small model.
#pragma once

#include <filesystem>
#include <memory>
#include <vector>

#include "models/trainer.h"
#include "optim/sgd.h"
#include "tests/models/recorded.h"
#include "tests/models/small_model.h"

namespace galvan {

// SGD under triangles of learning rate, of which max_lr is the top.
struct SmallRun {
  SmallRun(const std::filesystem::path& path, const TrainerOptions& options, double max_lr = 0.3,
           double dropout = 0.2, double momentum = 0.9, uint64_t seed = 1)
      : folder(path),
        tokens(golden_integers(260, 3, 19), 19),
        tokenizer(CharacterTokenizer::train("abcdefghijklmnopqrs")),
        model(
            [&] {
              ModelConfig c = small_gpt2();
              c.dropout = dropout;
              return c;
            }(),
            {.seed = seed}),
        optimizer(model.parameters(), {.lr = 0.1, .momentum = momentum}),
        schedule(CyclicLR{.base_lr = max_lr / 10, .max_lr = max_lr, .step_size_up = 3}),
        trainer({.model = model,
                 .optimizer = optimizer,
                 .schedule = schedule,
                 .tokenizer = *tokenizer,
                 .tokens = tokens,
                 .split = split_tokens(tokens.size(), 0.2)},
                options, {.on_epoch = [this](const EpochReport& report) { epochs.push_back(report); }}) {
    make_directories(folder);
  }
  void resume() {
    const std::filesystem::path from = resolve_checkpoint(folder);
    load_weights(from, model);
    trainer.resume(load_training_state(from));
  }
  std::vector<nlohmann::json> metrics() const { return recorded_metrics(folder); }

  std::filesystem::path folder;
  TokenArray tokens;
  std::unique_ptr<Tokenizer> tokenizer;
  Transformer model;
  SGD optimizer;
  Schedule schedule;
  std::vector<EpochReport> epochs;
  Trainer trainer;
};

}  // namespace galvan
