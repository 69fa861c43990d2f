// Folders that Transformers wrote load here, and the other way round. tests/golden/make_huggingface.py is the other half.
#include "models/huggingface.h"

#include <doctest/doctest.h>

#include <cmath>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "core/autograd.h"
#include "models/checkpoint.h"
#include "tests/core/close.h"
#include "tests/models/small_model.h"
#include "tests/models/temporary_directory.h"

using namespace galvan;
using nlohmann::json;
namespace fs = std::filesystem;

namespace {

const char* const kLetters = "abcdefghijk";  // a token each

Shape shape_of(const json& sizes) {
  Shape shape;
  for (const json& size : sizes) shape.push_back(size);
  return shape;
}

std::vector<NamedTensor> weights_of(const json& c) {
  std::vector<NamedTensor> tensors;
  for (const json& t : c.at("tensors")) {
    const Shape shape = shape_of(t.at("shape"));
    tensors.emplace_back(t.at("name"),
                         Tensor::from(golden_input(shape.numel(), t.at("seed"), 0.4, 0.1), shape));
  }
  return tensors;
}

// The folder that save_pretrained made.
void write_folder(const fs::path& folder, const json& config, const std::vector<NamedTensor>& tensors) {
  make_directories(folder);
  write_file_atomically(folder / "config.json", config.dump());
  write_safetensors(folder / "model.safetensors", tensors);
  CharacterTokenizer::train(kLetters)->save(folder / "tokenizer.json");
}

}  // namespace

TEST_CASE("folders of Transformers give its logits, and are written as it writes them") {
  TemporaryDirectory directory;
  const json golden = golden_file("huggingface.json");
  for (const json& c : golden.at("cases")) {
    const std::string kind = c.at("name");
    CAPTURE(kind);
    const auto weights = weights_of(c);
    write_folder(directory.path() / kind, c.at("config"), weights);
    NoGrad guard;
    const Tensor tokens = Tensor::from(c.at("tokens").get<std::vector<int32_t>>(), {2, 7});
    // Transformers' Llama works out its norms, angles and softmax in f32 even where the model is f64.
    const double rounding = kind.starts_with("llama") ? 4 * 0x1p-24 : 1e-9;
    const LoadedModel f64 = load_model(directory.path() / kind, {.dtype = DType::f64});
    CHECK(largest_difference((*f64.model)(tokens, false).to_vector(), c.at("logits")) < rounding);
    const LoadedModel f32 = load_model(directory.path() / kind);
    CHECK(largest_difference((*f32.model)(tokens, false).to_vector(), c.at("logits")) < 1e-4);

    // Written here: the same tensors, and a configuration that says the same.
    const fs::path copy = directory.path() / "copy";
    make_directories(copy);
    save_model(copy, *f64.model, *f64.tokenizer);
    const SafetensorsFile file(copy / "model.safetensors");
    CHECK(file.names().size() == weights.size());
    for (const auto& [key, tensor] : weights) {
      const std::string& name = key;  // clang 14 captures no structured bindings
      CAPTURE(name);
      REQUIRE(file.contains(name));
      CHECK(file.shape(name) == tensor.shape());
      CHECK(file.tensor(name).to_vector() == tensor.to_vector());
    }
    CHECK(load_config(copy) == f64.model->config());
    const json ours = json::parse(read_text_file(copy / "config.json")), &theirs = c.at("config");
    for (const char* key :
         {"architectures", "model_type", "vocab_size", "n_embd", "n_head", "n_layer", "n_positions",
          "activation_function", "layer_norm_epsilon", "hidden_size", "intermediate_size", "head_dim",
          "num_attention_heads", "num_hidden_layers", "num_key_value_heads", "rms_norm_eps", "hidden_act",
          "max_position_embeddings", "tie_word_embeddings"}) {
      CAPTURE(key);
      CHECK(ours.contains(key) == theirs.contains(key));
      if (theirs.contains(key)) CHECK(ours.at(key) == theirs.at(key));
    }
  }
}

TEST_CASE("GPT-2's published names lack the prefix") {
  TemporaryDirectory directory;
  const json c = golden_file("huggingface.json").at("cases")[0];
  auto weights = weights_of(c);
  for (auto& [name, tensor] : weights) name = name.substr(std::string("transformer.").size());
  weights.emplace_back("h.0.attn.bias", Tensor::ones({1, 1, 7, 7}));  // a mask, no parameter
  write_folder(directory.path(), c.at("config"), weights);
  const LoadedModel loaded = load_model(directory.path(), {.dtype = DType::f64});
  const Tensor tokens = Tensor::from(c.at("tokens").get<std::vector<int32_t>>(), {2, 7});
  CHECK(largest_difference((*loaded.model)(tokens, false).to_vector(), c.at("logits")) < 1e-9);
}

TEST_CASE("styles for Transformers to load, and those in between, come back") {
  TemporaryDirectory directory;
  const char* const kept = std::getenv("GALVAN_TEST_FOLDERS");  // for make_huggingface.py check
  ModelConfig no_bias = small_gpt2(), untied = small_gpt2(), tied = small_llama(), mix = small_gpt2();
  no_bias.bias = false;
  untied.tied_head = false;
  tied.tied_head = true;
  mix.norm = Norm::rms;
  mix.kv_heads = 1;
  mix.dropout = 0.1;
  mix.recompute = true;
  const std::string text = "a \"quoted\" \xC3\xA4\n";
  const std::map<std::string, ModelConfig> configs = {{"gpt2", small_gpt2()},  {"gpt2-without-bias", no_bias},
                                                      {"gpt2-untied", untied}, {"llama", small_llama()},
                                                      {"llama-tied", tied},    {"mix", mix}};
  for (auto [key, config] : configs) {
    const std::string& kind = key;  // clang 14 captures no structured bindings
    CAPTURE(kind);
    const auto tokenizer = CharacterTokenizer::train(text);
    config.vocab = tokenizer->vocab_size();
    const Transformer model(config);
    scramble(model);
    const fs::path folder = (kept && kind != "mix" ? fs::path(kept) : directory.path()) / kind;
    make_directories(folder);
    save_model(folder, model, *tokenizer);
    const LoadedModel loaded = load_model(folder);
    CHECK(loaded.model->config() == config);
    CHECK(values_of(loaded.model->parameters()) == values_of(model.parameters()));
    CHECK(loaded.tokenizer->encode(text) == tokenizer->encode(text));
    CHECK((architecture(config) == Architecture::galvan) == (kind == "mix"));

    const Tensor tokens = some_tokens(2, 9, config.vocab);
    write_safetensors(folder / "logits.safetensors",
                      {{"tokens", tokens}, {"logits", model(tokens, false).detach()}});
    const std::vector<int32_t> ids = tokenizer->encode(text);
    write_file_atomically(folder / "tokens.json", json{{"text", text}, {"ids", ids}}.dump());
  }
}

TEST_CASE("what cannot be loaded is named") {
  TemporaryDirectory directory;
  const json cases = golden_file("huggingface.json").at("cases"), gpt2 = cases[0], llama = cases[2];
  const fs::path folder = directory.path();
  const auto refused = [&](const json& c, auto change, const std::string& message) {
    json config = c.at("config");
    auto tensors = weights_of(c);
    change(config, tensors);
    write_folder(folder, config, tensors);
    CHECK_THROWS_WITH_AS(load_model(folder), (folder.string() + message).c_str(), Error);
  };
  using Weights = std::vector<NamedTensor>;
  refused(
      gpt2, [](json& j, Weights&) { j["model_type"] = "bert"; },
      "/config.json: the model_type 'bert' is not one of gpt2, llama, galvan");
  refused(
      gpt2, [](json& j, Weights&) { j["activation_function"] = "relu"; },
      "/config.json: activation_function 'relu' is not supported, only 'gelu_new'");
  refused(
      gpt2, [](json& j, Weights&) { j["scale_attn_by_inverse_layer_idx"] = true; },
      "/config.json: attention is scaled in a way that is not supported");
  refused(
      gpt2, [](json& j, Weights&) { j["vocab_size"] = 10; },
      ": the tokenizer has 11 tokens, the model only 10");
  refused(
      llama, [](json& j, Weights&) { j["rope_parameters"]["rope_type"] = "llama3"; },
      "/config.json: rope_type 'llama3' is not supported, only 'default'");
  refused(
      llama,
      [](json& j, Weights&) {
        j["rope_scaling"] = {{"factor", 8}};
      },
      "/config.json: rope_scaling is not supported");
  refused(
      llama, [](json& j, Weights&) { j["attention_bias"] = true; },
      "/config.json: biases in a llama are not supported");
  refused(
      llama, [](json& j, Weights&) { j["head_dim"] = 8; },
      "/config.json: head_dim is not hidden_size / num_attention_heads");
  refused(
      gpt2, [](json&, Weights& w) { w.erase(w.begin()); },
      "/model.safetensors: holds no tensor transformer.h.0.attn.c_attn.bias");
  refused(
      gpt2, [](json&, Weights& w) { w[1].second = w[1].second.transpose(0, 1); },
      "/model.safetensors: transformer.h.0.attn.c_attn.weight is [36, 12], the model's is [12, 36]");
  refused(
      gpt2,
      [](json& j, Weights&) {
        j["galvan"] = {{"norm", "batch"}};
      },
      "/config.json: norm 'batch' is neither 'layer' nor 'rms'");
  refused(
      gpt2,
      [](json& j, Weights&) {
        j["galvan"] = {{"norm", "layer"}, {"positions", "learned"}, {"mlp", "gelu"},
                       {"bias", false},   {"dropout", 0.0},         {"recompute", false}};
      },
      "/model.safetensors: transformer.h.0.ln_1.bias is not zero, but config.json says that the model has no "
      "biases");
  json missing = gpt2;
  missing["config"].erase("n_embd");
  write_folder(folder, missing.at("config"), weights_of(missing));
  CHECK_THROWS_AS(load_model(folder), Error);

  // A model keeps its weights when the file does not fit.
  write_folder(folder, gpt2.at("config"), weights_of(gpt2));
  const LoadedModel good = load_model(folder);
  const auto before = values_of(good.model->parameters());
  auto cut = weights_of(gpt2);
  for (auto& [name, tensor] : cut) tensor = tensor * 2.0;
  cut.pop_back();
  write_folder(folder, gpt2.at("config"), cut);
  CHECK_THROWS_AS(load_weights(folder, *good.model), Error);
  CHECK(values_of(good.model->parameters()) == before);
  write_file_atomically(folder / "model.safetensors.index.json", "{}");
  CHECK_THROWS_WITH_AS(
      load_model(folder),
      (folder.string() + ": weights in several files are not supported; save the model in one").c_str(),
      Error);
}
