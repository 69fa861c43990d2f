#include "models/transformer.h"

#include <cmath>
#include <unordered_map>

#include "core/autograd.h"
#include "core/check.h"
#include "core/random.h"

namespace galvan {
namespace {

Block make_block(const std::string& name, const ModelConfig& c, const Init& init) {
  // Projections that join the residual stream start smaller, so that its variance does not grow with depth
  // (GPT-2).
  Init residual = init;
  residual.stddev = init.stddev / std::sqrt(2.0 * static_cast<double>(c.layers));
  const int64_t packed = (c.heads + 2 * c.key_value_heads()) * c.head_size();
  Block block;
  block.norm1 = NormLayer::make(c, init);
  block.attention.qkv = Linear::make(name + ".attention.qkv", c.width, packed, c.bias, init);
  block.attention.out = Linear::make(name + ".attention.out", c.width, c.width, c.bias, residual);
  block.norm2 = NormLayer::make(c, init);
  if (c.mlp == Mlp::swiglu)
    block.mlp.gate = Linear::make(name + ".mlp.gate", c.width, c.hidden(), c.bias, init);
  block.mlp.up = Linear::make(name + ".mlp.up", c.width, c.hidden(), c.bias, init);
  block.mlp.down = Linear::make(name + ".mlp.down", c.hidden(), c.width, c.bias, residual);
  return block;
}

Tensor drop(const Tensor& x, double p) { return p > 0 ? dropout(x, p) : x; }

// A stream's number is a hash of its name: two parameters of one number would draw the same values.
void check_streams(const std::vector<NamedTensor>& parameters) {
  std::unordered_map<uint32_t, std::string> names;
  for (const auto& [name, tensor] : parameters) {
    const auto [other, is_new] = names.emplace(stream_of(name), name);
    check(is_new, "transformer: ", other->second, " and ", name,
          " share a random stream; a model this deep needs other names");
  }
}

}  // namespace

Transformer::Transformer(const ModelConfig& config, const Init& init) : config_(config) {
  validate(config);
  embedding_ = Embedding::make("embedding", config.vocab, config.width, init);
  if (config.positions == Positions::learned)
    positions_ = Embedding::make("positions", config.context, config.width, init);
  for (int64_t i = 0; i < config.layers; ++i)
    blocks_.push_back(make_block("blocks." + std::to_string(i), config, init));
  norm_ = NormLayer::make(config, init);
  if (!config.tied_head) head_ = Linear::make("head", config.width, config.vocab, false, init);
  check_streams(parameters());
}

std::vector<NamedTensor> Transformer::parameters() const {
  std::vector<NamedTensor> list;
  const auto visit = [&](const std::string& name, const Tensor& tensor) { list.emplace_back(name, tensor); };
  embedding_.parameters(visit, "embedding");
  if (positions_.weight.defined()) positions_.parameters(visit, "positions");
  for (size_t i = 0; i < blocks_.size(); ++i) blocks_[i].parameters(visit, "blocks." + std::to_string(i));
  norm_.parameters(visit, "norm");
  if (head_.weight.defined()) head_.parameters(visit, "head");
  return list;
}

// Token embeddings [B, T, C], with those of positions `position`, `position` + 1, ... added where they are
// learned.
Tensor Transformer::embed(const Tensor& tokens, int64_t position) const {
  check(tokens.rank() == 2 && tokens.numel() > 0, "transformer: tokens must be [B, T], not ", tokens.shape());
  const int64_t end = position + tokens.size(1);
  check(end <= config_.context, "transformer: ", end, " positions, but the context is ", config_.context);
  return positions_.weight.defined() ? embedding_at(embedding_.weight, positions_.weight, tokens, position)
                                     : embedding_(tokens);
}

const Tensor& Transformer::head_weight() const {
  return config_.tied_head ? embedding_.weight : head_.weight;
}

Tensor Transformer::attend(const Block& block, const Tensor& x) const {
  Tensor qkv = block.attention.qkv(x);  // [B, T, (H + 2 G) D]
  const int64_t heads = config_.heads, groups = config_.key_value_heads();
  if (config_.positions == Positions::rotary) qkv = packed_rope(qkv, heads, groups, 0, config_.rope_theta);
  return block.attention.out(packed_attention(qkv, heads, groups));
}

Tensor Transformer::feed_forward(const Block& block, const Tensor& x) const {
  const MlpLayer& mlp = block.mlp;
  if (config_.mlp == Mlp::swiglu) return mlp.down(silu_mul(mlp.gate(x), mlp.up(x)));
  if (!mlp.up.bias.defined()) return mlp.down(gelu(mlp.up(x)));
  return gelu_mlp(x, mlp.up.weight, mlp.up.bias, mlp.down.weight, mlp.down.bias);
}

AddNorm Transformer::after_attention(const Block& block, const AddNorm& in, double p) const {
  const NormLayer& norm = block.norm2;
  const Attention& attention = block.attention;
  if (p == 0 && norm.kind == Norm::layer && config_.positions == Positions::learned &&
      config_.key_value_heads() == config_.heads)
    return attention_branch(in.normed, in.sum, attention.qkv, config_.heads, attention.out, norm);
  return norm.add(drop(attend(block, in.normed), p), in.sum);
}

AddNorm Transformer::after_mlp(const Block& block, const NormLayer& next, const AddNorm& in, double p) const {
  const MlpLayer& mlp = block.mlp;
  if (p == 0 && next.kind == Norm::layer && config_.mlp == Mlp::gelu)
    return mlp_branch(in.normed, in.sum, mlp.up, mlp.down, next);
  return next.add(drop(feed_forward(block, in.normed), p), in.sum);
}

Tensor Transformer::operator()(const Tensor& tokens, bool training) const {
  return linear(hidden(tokens, training), head_weight());
}

Tensor Transformer::loss(const Tensor& tokens, const Tensor& targets, CrossEntropyOptions options,
                         bool training) const {
  return linear_cross_entropy(hidden(tokens, training), head_weight(), targets, options);
}

Tensor Transformer::hidden(const Tensor& tokens, bool training) const {
  const double p = training ? config_.dropout : 0.0;
  Tensor x = drop(embed(tokens, 0), p);  // the residual stream
  if (config_.recompute) {
    for (const Block& block : blocks_) {
      x = checkpoint(
          [this, p, &block](std::span<const Tensor> in) {
            const AddNorm start = block.norm1.keep(in[0]);
            const AddNorm middle = after_attention(block, start, p);
            return drop(feed_forward(block, middle.normed), p) + middle.sum;
          },
          {x});
    }
    return norm_(x);
  }
  // Each branch joins the stream in the same pass that takes the norm for the next one.
  AddNorm start = blocks_[0].norm1.keep(x);
  for (size_t i = 0; i < blocks_.size(); ++i) {
    const Block& block = blocks_[i];
    const NormLayer& next = i + 1 < blocks_.size() ? blocks_[i + 1].norm1 : norm_;
    const AddNorm middle = after_attention(block, start, p);
    start = after_mlp(block, next, middle, p);
  }
  return start.normed;
}

KeyValueCache Transformer::make_cache(int64_t batch, std::optional<int64_t> positions) const {
  const int64_t room = std::min(positions.value_or(config_.context), config_.context);
  const TensorOptions options{.dtype = embedding_.weight.dtype(), .device = embedding_.weight.device()};
  const Shape shape = {batch, config_.key_value_heads(), room, config_.head_size()};
  KeyValueCache cache;
  for (size_t i = 0; i < blocks_.size(); ++i) {
    cache.keys.push_back(Tensor::zeros(shape, options));
    cache.values.push_back(Tensor::zeros(shape, options));
  }
  return cache;
}

Tensor Transformer::attend_cached(const Block& block, const Tensor& x, Tensor& keys, Tensor& values,
                                  int64_t position) const {
  const int64_t B = x.size(0), T = x.size(1), D = config_.head_size();
  const int64_t H = config_.heads, G = config_.key_value_heads();
  Tensor qkv = block.attention.qkv(x);
  if (config_.positions == Positions::rotary) qkv = packed_rope(qkv, H, G, position, config_.rope_theta);
  const Tensor heads = qkv.reshape({B, T, H + 2 * G, D}).transpose(1, 2);  // [B, H + 2 G, T, D]
  keys.slice(2, position, position + T).copy_(heads.slice(1, H, H + G));
  values.slice(2, position, position + T).copy_(heads.slice(1, H + G, H + 2 * G));
  const Tensor y = galvan::attention(heads.slice(1, 0, H), keys.slice(2, 0, position + T),
                                     values.slice(2, 0, position + T));
  return block.attention.out(y.transpose(1, 2).reshape({B, T, H * D}));
}

Tensor Transformer::next_logits(const Tensor& tokens, KeyValueCache& cache) const {
  NoGrad guard;
  Tensor x = embed(tokens, cache.length);
  const int64_t B = tokens.size(0), T = tokens.size(1);
  check(B == cache.keys[0].size(0), "transformer: ", B, " sequences, but the cache is for ",
        cache.keys[0].size(0));
  for (size_t i = 0; i < blocks_.size(); ++i) {
    const Block& block = blocks_[i];
    const AddNorm middle = block.norm2.add(
        attend_cached(block, block.norm1(x), cache.keys[i], cache.values[i], cache.length), x);
    x = feed_forward(block, middle.normed) + middle.sum;
  }
  cache.length += T;
  return linear(norm_(x.slice(1, T - 1, T)), head_weight()).squeeze(1);
}

}  // namespace galvan
