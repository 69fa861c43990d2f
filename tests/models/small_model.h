// Small models and token batches for the tests of this folder.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "models/transformer.h"
#include "tests/core/golden.h"

namespace galvan {

// GPT-2's style: 2 layers, sizes that are no powers of two.
inline ModelConfig small_gpt2() {
  return {.vocab = 19, .context = 9, .layers = 2, .heads = 3, .width = 24, .mlp_width = 40};
}

// Llama's, two query heads to a key head.
inline ModelConfig small_llama() {
  ModelConfig c = llama_style(small_gpt2());
  c.heads = 4;
  c.kv_heads = 2;
  return c;
}

// Token ids [B, T], the same for the same seed.
inline Tensor some_tokens(int64_t B, int64_t T, int64_t vocab, uint32_t seed = 1) {
  return Tensor::from(golden_integers(B * T, seed, static_cast<uint32_t>(vocab)), {B, T});
}

// Replaces every parameter, also biases and norms, so that none is at a special value.
inline void scramble(const Transformer& model, double scale = 0.3) {
  uint32_t seed = 100;
  for (const auto& [name, tensor] : model.parameters()) {
    const double offset = name.find("norm") != std::string::npos && name.ends_with("weight") ? 1.0 : 0.0;
    tensor.detach().copy_(Tensor::from(golden_input(tensor.numel(), seed++, scale, offset), tensor.shape(),
                                       {.dtype = tensor.dtype()}));
  }
}

inline std::map<std::string, std::vector<double>> values_of(const std::vector<NamedTensor>& tensors) {
  std::map<std::string, std::vector<double>> values;
  for (const auto& [name, tensor] : tensors) values[name] = tensor.to_vector();
  return values;
}

}  // namespace galvan
