// What the models of a run's cycle ends reach together: RUN/cycles.json.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <vector>

#include "models/dataset.h"
#include "models/tokenizer.h"
#include "models/transformer.h"

namespace galvan {

struct CycleLosses {
  int64_t cycles = 0;  // whose ends these are
  // Validation losses of the model of the mean weights, and of the mean of the models' predictions; none without a
  // validation split.
  std::optional<double> average = {}, ensemble = {};
};

// Saves the average of the models that save_cycle has left of the cycle ends `ends` into RUN/average, and its loss and the
// ensemble's, over `validation`, into RUN/cycles.json. Leaves `model` with other weights.
CycleLosses average_cycles(const std::filesystem::path& run, const std::vector<int64_t>& ends,
                           const Transformer& model, const Tokenizer& tokenizer, const TokenArray& tokens,
                           TokenRange validation, int64_t batch_size);

// None where there is no such file. Throws when it is not understood.
std::optional<CycleLosses> read_cycle_losses(const std::filesystem::path& run);

}  // namespace galvan
