// The models of a run's cycle ends taken together: the mean of their weights (Izmailov et al., Averaging Weights Leads to
// Wider Optima and Better Generalization, arXiv:1803.05407, section 3) and the mean of what they predict (Huang et al.,
// Snapshot Ensembles, arXiv:1704.00109, section 3).
//
//   RUN/cycles/800/  RUN/cycles/1600/  ...      a model each, as a checkpoint has it
//   RUN/average/                                the model of the mean weights
#pragma once

#include <filesystem>
#include <vector>

#include "models/dataset.h"
#include "models/tokenizer.h"
#include "models/transformer.h"

namespace galvan {

// Keeps the model as it is at a cycle's end, after `step` updates; what is there of that step already goes.
void save_cycle(const std::filesystem::path& run, int64_t step, const Transformer& model,
                const Tokenizer& tokenizer);

// After how many updates the cycles end whose models are there, up to `step`, in order.
std::vector<int64_t> saved_cycles(const std::filesystem::path& run, int64_t step);

// The folders of the cycles that end after `ends` updates, in that order, as far as they are there. Those of other cycles,
// which a run that is resumed will write anew, are removed; what else is there stays.
std::vector<std::filesystem::path> keep_cycles(const std::filesystem::path& run,
                                               const std::vector<int64_t>& ends);

// Gives `model` the means of the weights in `folders`, computed in f64. At least one folder.
void load_average(const std::vector<std::filesystem::path>& folders, const Transformer& model);

// Mean cross-entropy, over the walk of models/evaluate.h, of the ensemble's prediction, the mean of the models'
// probabilities. Takes the memory of one model, `scratch`, which is left with the last one's weights, and 8 bytes a token.
double ensemble_loss(const std::vector<std::filesystem::path>& folders, const Transformer& scratch,
                     const TokenArray& tokens, TokenRange range, int64_t batch_size = 16);

// Saves a model into a folder as a whole, in place of what is there.
void replace_model(const std::filesystem::path& folder, const Transformer& model, const Tokenizer& tokenizer);

}  // namespace galvan
