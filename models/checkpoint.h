// Checkpoints: a folder that Transformers loads as it is, with what an exact resume needs beside it.
//
//   RUN/checkpoints/400/   model.safetensors  config.json  tokenizer.json  tokenizer_config.json   the model
//                          training.json  optimizer.safetensors                    the state of training
//   RUN/current -> checkpoints/400      the last one      RUN/best -> checkpoints/200      the best so far
//
// A checkpoint is written aside, synced, and renamed as a whole; then one rename switches the link. A kill at
// any moment leaves `current` pointing at a complete checkpoint.
#pragma once

#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <vector>

#include "models/safetensors.h"
#include "models/tokenizer.h"
#include "models/transformer.h"

namespace galvan {

// The layout of the training state's files. A checkpoint with a newer number is refused.
inline constexpr int kCheckpointFormat = 1;

struct TrainingState {
  int64_t step = 0;
  nlohmann::ordered_json progress;     // what the trainer keeps: best loss, patience, ...
  std::vector<NamedTensor> optimizer;  // Optimizer::state(): momentum, moments, masters, counts of updates
};

struct LoadedModel {
  std::unique_ptr<Transformer> model;
  std::unique_ptr<Tokenizer> tokenizer;
};

// Writes model.safetensors, config.json, tokenizer.json and tokenizer_config.json into an existing folder.
void save_model(const std::filesystem::path& folder, const Transformer& model, const Tokenizer& tokenizer);

// The folder that `path` means: a checkpoint's (or any that Transformers wrote), or a run's, whose `current`
// it is.
std::filesystem::path resolve_checkpoint(const std::filesystem::path& path);

// The sizes and the style of the model in `folder`. Throws also when its weights are not there, cut off, or too few
// for the sizes, so that nothing is allocated for those of a corrupt file.
ModelConfig load_config(const std::filesystem::path& folder);

// Reads a model, converted to `dtype`. Throws one line that names the file and what is missing, corrupt or
// unknown.
LoadedModel load_model(const std::filesystem::path& folder, TensorOptions options = {});

// Reads the weights in `folder` into a model of the same sizes.
void load_weights(const std::filesystem::path& folder, const Transformer& model);

// Saves the state of a run after `state.step` steps, makes it `current`, and with `is_best` also `best`.
// Checkpoints that no link points to any more are removed.
void save_checkpoint(const std::filesystem::path& run, const Transformer& model, const Tokenizer& tokenizer,
                     const TrainingState& state, bool is_best);

// Where `current` is missing, lost or because a kill came just before the first, points it to the last checkpoint that
// there is. Does nothing when there is none.
void restore_current(const std::filesystem::path& run);

// What save_checkpoint put beside the model, for Trainer::resume. Throws one line that names the file when it is
// missing, corrupt or of a newer format.
TrainingState load_training_state(const std::filesystem::path& folder);

}  // namespace galvan
