// What a run learns from: the text as tokens, and the model's sizes, which go with them.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "apps/settings.h"
#include "apps/train_settings.h"

namespace galvan {

struct TrainingText {
  ModelConfig config;
  std::unique_ptr<Tokenizer> tokenizer;
  TokenArray tokens;
  Split split;
};

// Of the text that `train.data` names. Sizes and tokenizer are those of `checkpoint`, which is of the run itself and to
// be resumed, or if that is empty of `train.init`, or if that is empty too of the settings, where what was left open is
// resolved. Throws UsageError when the command line asks for other sizes than --init brings.
TrainingText read_training_text(const Settings& settings, TrainSettings& train,
                                const std::filesystem::path& checkpoint);

BatchOptions batch_options(const TrainSettings& train, const ModelConfig& config);

// Makes steps of epochs, where these were given.
void settle_epochs(TrainSettings& train, const BatchSampler& sampler);

std::string absolute_path(const std::string& path);

}  // namespace galvan
