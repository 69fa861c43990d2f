// A decoder-only transformer: GPT-2's (pre-norm, fused query-key-value projection, tanh GELU, learned
// positions, tied head) or, by options of ModelConfig, Llama's (RMS norm, rotary positions, SwiGLU, grouped
// queries, untied head, no biases).
//
//   Transformer model(config, {.seed = 1});
//   Tensor logits = model(tokens);                        // [B, T] i32 -> [B, T, V]
//   Tensor loss = model.loss(tokens, targets);            // what cross_entropy(logits, targets) is
//
// Sources: Vaswani et al., arXiv:1706.03762; Radford et al., "Language Models are Unsupervised Multitask
// Learners", 2019; Touvron et al., arXiv:2302.13971.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "models/layers.h"

namespace galvan {

// Causal self-attention: every position looks at itself and those before it.
struct Attention {
  Linear qkv;  // C -> (H + 2 G) D: queries, keys, values, side by side
  Linear out;  // H D -> C

  template <class Visit>
  void parameters(const Visit& visit, const std::string& prefix) const {
    qkv.parameters(visit, prefix + ".qkv");
    out.parameters(visit, prefix + ".out");
  }
};

struct MlpLayer {
  Linear gate;  // C -> F, of swiglu only
  Linear up;    // C -> F
  Linear down;  // F -> C

  template <class Visit>
  void parameters(const Visit& visit, const std::string& prefix) const {
    if (gate.weight.defined()) gate.parameters(visit, prefix + ".gate");
    up.parameters(visit, prefix + ".up");
    down.parameters(visit, prefix + ".down");
  }
};

struct Block {
  NormLayer norm1;
  Attention attention;
  NormLayer norm2;
  MlpLayer mlp;

  template <class Visit>
  void parameters(const Visit& visit, const std::string& prefix) const {
    norm1.parameters(visit, prefix + ".norm1");
    attention.parameters(visit, prefix + ".attention");
    norm2.parameters(visit, prefix + ".norm2");
    mlp.parameters(visit, prefix + ".mlp");
  }
};

// Keys and values of the positions seen so far, so that a new token costs one position's work.
struct KeyValueCache {
  std::vector<Tensor> keys, values;  // one a layer, [B, G, positions, D]
  int64_t length = 0;                // positions filled
};

class Transformer {
 public:
  explicit Transformer(const ModelConfig& config, const Init& init = {});

  const ModelConfig& config() const { return config_; }

  // tokens [B, T] i32, T at most the context -> logits [B, T, V]. With training, dropout is on, drawn from
  // RandomContext.
  Tensor operator()(const Tensor& tokens, bool training = true) const;

  // cross_entropy((*this)(tokens, training), targets, options), by linear_cross_entropy: targets [B, T] i32.
  Tensor loss(const Tensor& tokens, const Tensor& targets, CrossEntropyOptions options = {},
              bool training = true) const;

  // Logits [B, V] of the last of `tokens` [B, T], which follow the positions in the cache; no gradient is
  // recorded.
  Tensor next_logits(const Tensor& tokens, KeyValueCache& cache) const;
  // Room for so many positions, at most and by default the context.
  KeyValueCache make_cache(int64_t batch, std::optional<int64_t> positions = {}) const;

  // All parameters with their names, in a fixed order; a tied head is not listed a second time.
  std::vector<NamedTensor> parameters() const;

 private:
  Tensor embed(const Tensor& tokens, int64_t position) const;
  const Tensor& head_weight() const;                         // [V, C]
  Tensor hidden(const Tensor& tokens, bool training) const;  // [B, T, C]: what the head is given
  Tensor attend(const Block& block, const Tensor& x) const;
  Tensor attend_cached(const Block& block, const Tensor& x, Tensor& keys, Tensor& values,
                       int64_t position) const;
  Tensor feed_forward(const Block& block, const Tensor& x) const;
  // The stream behind a branch that drops out with probability p, and its norm for what comes next.
  AddNorm after_attention(const Block& block, const AddNorm& in, double p) const;
  AddNorm after_mlp(const Block& block, const NormLayer& next, const AddNorm& in, double p) const;

  ModelConfig config_;
  Embedding embedding_;  // [V, C]
  Embedding positions_;  // [T, C], of learned positions
  std::vector<Block> blocks_;
  NormLayer norm_;
  Linear head_;  // [V, C]; empty when tied
};

}  // namespace galvan
