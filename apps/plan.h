// What a training run will take, told before it begins.
#pragma once

#include <cstdint>
#include <string>

#include "core/dtype.h"
#include "models/config.h"

namespace galvan {

struct MemoryPlan {
  double weights = 0;  // bytes, all of them; masters of bf16 weights counted here
  double gradients = 0;
  double optimizer = 0;    // momentum, or Adam's two moments
  double activations = 0;  // what the forward pass keeps for backward, an estimate
  double total() const { return weights + gradients + optimizer + activations; }
};

// `states`: numbers that the optimizer keeps for each weight.
MemoryPlan plan_memory(const ModelConfig& config, DType dtype, int states, int64_t batch_size);

// Parameters by kind, a line each with its share.
std::string parameter_table(const ModelConfig& config);

// What to change so that the run fits into `available` bytes, as options to give; empty when it fits as it is.
std::string advice_to_fit(const ModelConfig& config, DType dtype, int states, int64_t batch_size,
                          int64_t accumulate, double available);

}  // namespace galvan
