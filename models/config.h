// The sizes and the style of a decoder.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace galvan {

enum class Norm { layer, rms };
enum class Positions { learned, rotary };
enum class Mlp { gelu, swiglu };  // down(gelu(up x)), or down(silu(gate x) * up x)

struct ModelConfig {
  int64_t vocab = 0;     // V: tokens the model knows
  int64_t context = 64;  // T: the longest sequence it sees
  int64_t layers = 4;    // blocks of attention and MLP
  int64_t heads = 4;     // H: query heads; width / heads is the head size D
  int64_t kv_heads =
      0;  // G: key and value heads, a divisor of heads; 0 = heads (grouped-query attention, arXiv:2305.13245)
  int64_t width = 128;    // C: channels of the residual stream
  int64_t mlp_width = 0;  // hidden channels of the MLP; 0 = 4 C, or 8/3 C rounded up to 32 for swiglu
  Norm norm = Norm::layer;
  Positions positions = Positions::learned;
  Mlp mlp = Mlp::gelu;
  bool bias = true;       // in linear layers and layer norms
  bool tied_head = true;  // the head shares the embedding's weight
  double dropout = 0.0;   // after the embedding and after each branch, before it joins the residual stream
  double norm_eps = 1e-5;
  double rope_theta = 10000.0;
  bool recompute =
      false;  // keep only each block's input, and run the block again in backward: memory for time

  bool operator==(const ModelConfig&) const = default;

  int64_t head_size() const { return width / heads; }
  int64_t key_value_heads() const { return kv_heads > 0 ? kv_heads : heads; }
  int64_t hidden() const;
  // Parameters in all, a tied head counted once.
  int64_t parameters() const;
  // Floating-point operations of a training step for one token: forward and backward, matmuls and causal
  // attention.
  double flops_per_token() const;
};

// "tiny" (4 layers, 4 heads, 128 wide, context 64), "shakespeare-char" (6, 6, 384, 256), "gpt2" (12, 12, 768,
// 1024). Throws naming the presets there are.
ModelConfig preset(std::string_view name);
const std::vector<std::string>& preset_names();

// The same sizes in Llama's style: RMS norm, rotary positions, SwiGLU, no biases, untied head.
ModelConfig llama_style(ModelConfig config);

// Throws "model: width 130 is not a multiple of heads 4" and the like.
void validate(const ModelConfig& config);

}  // namespace galvan
