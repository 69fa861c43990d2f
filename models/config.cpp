#include "models/config.h"

#include "core/check.h"

namespace galvan {
namespace {

struct Preset {
  const char* name;
  ModelConfig config;
};

const Preset kPresets[] = {
    {"tiny", {.context = 64, .layers = 4, .heads = 4, .width = 128}},
    {"shakespeare-char", {.context = 256, .layers = 6, .heads = 6, .width = 384}},
    {"gpt2", {.context = 1024, .layers = 12, .heads = 12, .width = 768}},
};

}  // namespace

int64_t ModelConfig::hidden() const {
  if (mlp_width > 0) return mlp_width;
  return mlp == Mlp::gelu ? 4 * width : (8 * width / 3 + 31) / 32 * 32;
}

int64_t ModelConfig::parameters() const {
  const int64_t qkv = (heads + 2 * key_value_heads()) * head_size();
  const int64_t up = (mlp == Mlp::swiglu ? 2 : 1) * hidden();
  const int64_t norm_size = width * (norm == Norm::layer && bias ? 2 : 1);
  int64_t block = 2 * norm_size + width * qkv + width * width + width * up + hidden() * width;
  if (bias) block += qkv + width + up + width;
  int64_t total = vocab * width + layers * block + norm_size;
  if (positions == Positions::learned) total += context * width;
  if (!tied_head) total += vocab * width;
  return total;
}

double ModelConfig::flops_per_token() const {
  const double qkv = static_cast<double>((heads + 2 * key_value_heads()) * head_size());
  const double up = static_cast<double>((mlp == Mlp::swiglu ? 2 : 1) * hidden());
  const double c = static_cast<double>(width);
  const double weights = layers * (c * qkv + c * c + c * up + hidden() * c) + static_cast<double>(vocab) * c;
  // Scores and weighted values: 2 T C multiply-adds a token and layer, half of them masked.
  const double attention = static_cast<double>(layers) * context * c;
  return 6.0 * (weights + attention);  // forward, and twice as much backward; 2 operations a multiply-add
}

ModelConfig preset(std::string_view name) {
  std::string names;
  for (const Preset& preset : kPresets) {
    if (name == preset.name) return preset.config;
    names += (names.empty() ? "" : ", ") + std::string(preset.name);
  }
  fail("preset: there is no '", name, "'; there are ", names);
}

const std::vector<std::string>& preset_names() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> list;
    for (const Preset& preset : kPresets) list.push_back(preset.name);
    return list;
  }();
  return names;
}

ModelConfig llama_style(ModelConfig config) {
  config.norm = Norm::rms;
  config.positions = Positions::rotary;
  config.mlp = Mlp::swiglu;
  config.bias = false;
  config.tied_head = false;
  return config;
}

void validate(const ModelConfig& c) {
  const auto positive = [](const char* what, int64_t value) {
    check(value >= 1 && value < (int64_t{1} << 31), "model: ", what, " is ", value,
          ", not between 1 and 2^31");
  };
  positive("vocab", c.vocab);
  positive("context", c.context);
  positive("layers", c.layers);
  positive("heads", c.heads);
  positive("width", c.width);
  check(c.kv_heads >= 0 && c.mlp_width >= 0, "model: kv_heads ", c.kv_heads, " and mlp_width ", c.mlp_width,
        " must not be negative");
  check(c.width % c.heads == 0, "model: width ", c.width, " is not a multiple of heads ", c.heads);
  check(c.heads % c.key_value_heads() == 0, "model: heads ", c.heads, " is not a multiple of kv_heads ",
        c.kv_heads);
  check(c.positions != Positions::rotary || c.head_size() % 2 == 0,
        "model: rotary positions need an even head size, not ", c.head_size());
  check(c.dropout >= 0 && c.dropout < 1, "model: dropout ", c.dropout, " is not in [0, 1)");
  check(c.norm_eps > 0, "model: norm_eps ", c.norm_eps, " is not positive");
  check(c.rope_theta > 0, "model: rope_theta ", c.rope_theta, " is not positive");
  // From here on sizes and their products do not overflow.
  const double width = static_cast<double>(c.width);
  const double rows = 2.0 * static_cast<double>(c.vocab) + static_cast<double>(c.context) +
                      static_cast<double>(c.layers) * (4.0 * width + 3.0 * static_cast<double>(c.hidden()));
  check(rows * width < 0x1p52, "model: sizes that make ", rows * width, " parameters are out of range");
}

}  // namespace galvan
