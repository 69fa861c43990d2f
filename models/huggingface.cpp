#include "models/huggingface.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/check.h"

namespace galvan {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

// The layout of GPT2LMHeadModel. Its Conv1D keeps a weight as [in, out].
FileLayout gpt2_layout(const ModelConfig& c) {
  FileLayout layout;
  const auto plain = [&](const std::string& name, const std::string& parameter) {
    layout.tensors.push_back({name, parameter});
  };
  const auto bias = [&](const std::string& name, const std::string& parameter, int64_t width) {
    if (c.bias) {
      plain(name, parameter);
    } else {
      layout.zeros.push_back({name, width});
    }
  };
  const auto norm = [&](const std::string& name, const std::string& parameter) {
    plain(name + ".weight", parameter + ".weight");
    bias(name + ".bias", parameter + ".bias", c.width);
  };
  const auto linear = [&](const std::string& name, const std::string& parameter, int64_t out) {
    layout.tensors.push_back({name + ".weight", parameter + ".weight", true});
    bias(name + ".bias", parameter + ".bias", out);
  };
  plain("transformer.wte.weight", "embedding.weight");
  plain("transformer.wpe.weight", "positions.weight");
  for (int64_t i = 0; i < c.layers; ++i) {
    const std::string file = "transformer.h." + std::to_string(i), block = "blocks." + std::to_string(i);
    norm(file + ".ln_1", block + ".norm1");
    linear(file + ".attn.c_attn", block + ".attention.qkv", 3 * c.width);
    linear(file + ".attn.c_proj", block + ".attention.out", c.width);
    norm(file + ".ln_2", block + ".norm2");
    linear(file + ".mlp.c_fc", block + ".mlp.up", c.hidden());
    linear(file + ".mlp.c_proj", block + ".mlp.down", c.width);
  }
  norm("transformer.ln_f", "norm");
  if (!c.tied_head) plain("lm_head.weight", "head.weight");
  return layout;
}

// The layout of LlamaForCausalLM, which keeps queries, keys and values apart.
FileLayout llama_layout(const ModelConfig& c) {
  FileLayout layout;
  const auto rows = [&](const std::string& name, const std::string& parameter, int64_t begin = 0,
                        int64_t end = -1) {
    layout.tensors.push_back({name + ".weight", parameter + ".weight", false, begin, end});
  };
  const int64_t q = c.heads * c.head_size(), kv = c.key_value_heads() * c.head_size();
  rows("model.embed_tokens", "embedding");
  for (int64_t i = 0; i < c.layers; ++i) {
    const std::string file = "model.layers." + std::to_string(i), block = "blocks." + std::to_string(i);
    rows(file + ".input_layernorm", block + ".norm1");
    rows(file + ".self_attn.q_proj", block + ".attention.qkv", 0, q);
    rows(file + ".self_attn.k_proj", block + ".attention.qkv", q, q + kv);
    rows(file + ".self_attn.v_proj", block + ".attention.qkv", q + kv, q + 2 * kv);
    rows(file + ".self_attn.o_proj", block + ".attention.out");
    rows(file + ".post_attention_layernorm", block + ".norm2");
    rows(file + ".mlp.gate_proj", block + ".mlp.gate");
    rows(file + ".mlp.up_proj", block + ".mlp.up");
    rows(file + ".mlp.down_proj", block + ".mlp.down");
  }
  rows("model.norm", "norm");
  if (!c.tied_head) rows("lm_head", "head");
  return layout;
}

// This project's own names, for the styles in between.
FileLayout own_layout(const ModelConfig& c) {
  FileLayout layout;
  const auto add = [&](const std::string& name, bool bias) {
    layout.tensors.push_back({name + ".weight", name + ".weight"});
    if (bias) layout.tensors.push_back({name + ".bias", name + ".bias"});
  };
  const bool norm_bias = c.bias && c.norm == Norm::layer;
  add("embedding", false);
  if (c.positions == Positions::learned) add("positions", false);
  for (int64_t i = 0; i < c.layers; ++i) {
    const std::string block = "blocks." + std::to_string(i);
    add(block + ".norm1", norm_bias);
    add(block + ".attention.qkv", c.bias);
    add(block + ".attention.out", c.bias);
    add(block + ".norm2", norm_bias);
    if (c.mlp == Mlp::swiglu) add(block + ".mlp.gate", c.bias);
    add(block + ".mlp.up", c.bias);
    add(block + ".mlp.down", c.bias);
  }
  add("norm", norm_bias);
  if (!c.tied_head) add("head", false);
  return layout;
}

const char* torch_name(const std::string& dtype) {
  return dtype == "bf16" ? "bfloat16" : dtype == "f64" ? "float64" : "float32";
}

// What Transformers has no word for; kept under "galvan" in every config.json, where others ignore it.
ordered_json own_options(const ModelConfig& c) {
  return {{"norm", c.norm == Norm::layer ? "layer" : "rms"},
          {"positions", c.positions == Positions::learned ? "learned" : "rotary"},
          {"mlp", c.mlp == Mlp::gelu ? "gelu" : "swiglu"},
          {"bias", c.bias},
          {"dropout", c.dropout},
          {"recompute", c.recompute}};
}

}  // namespace

Architecture architecture(const ModelConfig& c) {
  if (c.norm == Norm::layer && c.positions == Positions::learned && c.mlp == Mlp::gelu &&
      c.key_value_heads() == c.heads)
    return Architecture::gpt2;
  if (c.norm == Norm::rms && c.positions == Positions::rotary && c.mlp == Mlp::swiglu && !c.bias)
    return Architecture::llama;
  return Architecture::galvan;
}

FileLayout file_layout(const ModelConfig& config) {
  switch (architecture(config)) {
    case Architecture::gpt2:
      return gpt2_layout(config);
    case Architecture::llama:
      return llama_layout(config);
    case Architecture::galvan:
      break;
  }
  return own_layout(config);
}

ordered_json to_huggingface(const ModelConfig& c, const std::string& dtype) {
  ordered_json j;
  const Architecture kind = architecture(c);
  if (kind == Architecture::gpt2) {
    j = {{"architectures", {"GPT2LMHeadModel"}},
         {"model_type", "gpt2"},
         {"vocab_size", c.vocab},
         {"n_positions", c.context},
         {"n_ctx", c.context},
         {"n_embd", c.width},
         {"n_layer", c.layers},
         {"n_head", c.heads},
         {"n_inner", c.hidden()},
         {"activation_function", "gelu_new"},
         {"layer_norm_epsilon", c.norm_eps},
         {"embd_pdrop", c.dropout},
         {"resid_pdrop", c.dropout},
         {"attn_pdrop", 0.0},
         {"initializer_range", 0.02}};
  } else {
    j = {{"architectures", {kind == Architecture::llama ? "LlamaForCausalLM" : "GalvanForCausalLM"}},
         {"model_type", kind == Architecture::llama ? "llama" : "galvan"},
         {"vocab_size", c.vocab},
         {"max_position_embeddings", c.context},
         {"hidden_size", c.width},
         {"num_hidden_layers", c.layers},
         {"num_attention_heads", c.heads},
         {"num_key_value_heads", c.key_value_heads()},
         {"head_dim", c.head_size()},
         {"intermediate_size", c.hidden()},
         {"hidden_act", "silu"},
         {"rms_norm_eps", c.norm_eps},
         {"rope_theta", c.rope_theta},
         {"attention_bias", false},
         {"mlp_bias", false},
         {"initializer_range", 0.02}};
  }
  j["tie_word_embeddings"] = c.tied_head;
  j["bos_token_id"] = nullptr;
  j["eos_token_id"] = nullptr;
  j["torch_dtype"] = torch_name(dtype);
  j["galvan"] = own_options(c);
  return j;
}

ModelConfig from_huggingface(const json& j, const std::string& path) {
  try {
    const std::string type = j.value("model_type", "");
    check(type == "gpt2" || type == "llama" || type == "galvan", path, ": the model_type '", type,
          "' is not one of gpt2, llama, galvan");
    // A key that is missing or null has the default.
    const auto get = [&](const char* key, auto fallback) {
      return j.contains(key) && !j.at(key).is_null() ? j.at(key).get<decltype(fallback)>() : fallback;
    };
    const auto must_be = [&](const char* key, const std::string& value) {
      const std::string got = get(key, value);
      check(got == value, path, ": ", key, " '", got, "' is not supported, only '", value, "'");
    };
    ModelConfig c;
    c.vocab = j.at("vocab_size");
    if (type == "gpt2") {
      must_be("activation_function", "gelu_new");
      check(get("scale_attn_weights", true) && !get("scale_attn_by_inverse_layer_idx", false), path,
            ": attention is scaled in a way that is not supported");
      c.context = j.at("n_positions");
      c.width = j.at("n_embd");
      c.layers = j.at("n_layer");
      c.heads = j.at("n_head");
      c.mlp_width = get("n_inner", 4 * c.width);
      c.norm_eps = get("layer_norm_epsilon", 1e-5);
      c.dropout = get("resid_pdrop", 0.0);
      c.tied_head = get("tie_word_embeddings", true);
    } else {
      c = llama_style(c);
      must_be("hidden_act", "silu");
      check(get("rope_scaling", json()).is_null(), path, ": rope_scaling is not supported");
      check(!get("attention_bias", false) && !get("mlp_bias", false), path,
            ": biases in a llama are not supported");
      c.context = j.at("max_position_embeddings");
      c.width = j.at("hidden_size");
      c.layers = j.at("num_hidden_layers");
      c.heads = j.at("num_attention_heads");
      c.kv_heads = get("num_key_value_heads", c.heads);
      c.mlp_width = j.at("intermediate_size");
      c.norm_eps = get("rms_norm_eps", 1e-6);
      // Newer files keep it in rope_parameters.
      const json rope = get("rope_parameters", json::object());
      const std::string rope_type = rope.value("rope_type", "default");
      check(rope_type == "default", path, ": rope_type '", rope_type, "' is not supported, only 'default'");
      c.rope_theta =
          rope.contains("rope_theta") ? rope.at("rope_theta").get<double>() : get("rope_theta", 10000.0);
      c.tied_head = get("tie_word_embeddings", false);
      check(
          get("head_dim", c.width / std::max<int64_t>(1, c.heads)) == c.width / std::max<int64_t>(1, c.heads),
          path, ": head_dim is not hidden_size / num_attention_heads");
    }
    if (j.contains("galvan")) {
      const json& own = j.at("galvan");
      const auto is_first = [&](const char* key, const std::string& first, const std::string& second) {
        const std::string got = own.at(key);
        check(got == first || got == second, path, ": ", key, " '", got, "' is neither '", first, "' nor '",
              second, "'");
        return got == first;
      };
      c.norm = is_first("norm", "layer", "rms") ? Norm::layer : Norm::rms;
      c.positions = is_first("positions", "learned", "rotary") ? Positions::learned : Positions::rotary;
      c.mlp = is_first("mlp", "gelu", "swiglu") ? Mlp::gelu : Mlp::swiglu;
      c.bias = own.at("bias");
      c.dropout = own.at("dropout");
      c.recompute = own.at("recompute");
    }
    try {
      validate(c);
    } catch (const Error& error) {
      fail(path, ": ", error.what());
    }
    return c;
  } catch (const json::exception& error) {
    fail(path, ": not a model's config.json: ", error.what());
  }
}

}  // namespace galvan
