#include "models/config.h"

#include <doctest/doctest.h>

#include "core/check.h"

using namespace galvan;

TEST_CASE("parameters and operations, counted by hand") {
  // GPT-2 small as published: 124,439,808 parameters.
  ModelConfig gpt2 = preset("gpt2");
  gpt2.vocab = 50257;
  CHECK(gpt2.parameters() == 124439808);

  // V = 5, C = 4, F = 16, T = 8, one layer, no biases: embedding 20, positions 32, norms 4 + 4 + 4, qkv 48, out 16,
  // MLP 64 + 64.
  const ModelConfig c{.vocab = 5, .context = 8, .layers = 1, .heads = 2, .width = 4, .bias = false};
  CHECK(c.parameters() == 20 + 32 + 12 + 48 + 16 + 128);
  // 2 operations a multiply-add, three passes; the head counts, embeddings do not; causal attention is 2 T C / 2.
  CHECK(c.flops_per_token() == 6 * (48 + 16 + 128 + 20 + 8 * 4));

  // Llama 7B as published: 6,738,415,616 parameters.
  ModelConfig llama = llama_style(
      {.vocab = 32000, .context = 2048, .layers = 32, .heads = 32, .width = 4096, .mlp_width = 11008});
  CHECK(llama.parameters() == 6738415616);
  // TinyLlama 1.1B, four key heads: 1,100,048,384 parameters.
  llama.layers = 22, llama.kv_heads = 4, llama.width = 2048, llama.mlp_width = 5632;
  CHECK(llama.parameters() == 1100048384);
}

TEST_CASE("the hidden width by default") {
  ModelConfig c{.vocab = 5, .width = 48};
  CHECK(c.hidden() == 192);
  CHECK(llama_style(c).hidden() == 128);  // 8/3 of 48 is 128
  c.width = 50;
  CHECK(llama_style(c).hidden() == 160);  // 133.3, rounded up to 32
}

TEST_CASE("presets") {
  for (const std::string& name : preset_names()) {
    ModelConfig c = preset(name);
    c.vocab = 65;
    CHECK_NOTHROW(validate(c));
  }
  CHECK_THROWS_WITH_AS(preset("huge"), "preset: there is no 'huge'; there are tiny, shakespeare-char, gpt2",
                       Error);
}

TEST_CASE("sizes that make no model") {
  const ModelConfig good{.vocab = 5};
  const auto refused = [&](auto change, const char* message) {
    ModelConfig c = good;
    change(c);
    CHECK_THROWS_WITH_AS(validate(c), message, Error);
  };
  refused([](ModelConfig& c) { c.vocab = 0; }, "model: vocab is 0, not between 1 and 2^31");
  refused([](ModelConfig& c) { c.context = -1; }, "model: context is -1, not between 1 and 2^31");
  refused([](ModelConfig& c) { c.layers = int64_t{1} << 31; },
          "model: layers is 2147483648, not between 1 and 2^31");
  refused([](ModelConfig& c) { c.width = 130; }, "model: width 130 is not a multiple of heads 4");
  refused([](ModelConfig& c) { c.kv_heads = 3; }, "model: heads 4 is not a multiple of kv_heads 3");
  refused([](ModelConfig& c) { c.kv_heads = -1; }, "model: kv_heads -1 and mlp_width 0 must not be negative");
  refused(
      [](ModelConfig& c) {
        c.width = 20;
        c = llama_style(c);
      },
      "model: rotary positions need an even head size, not 5");
  refused([](ModelConfig& c) { c.dropout = 1; }, "model: dropout 1 is not in [0, 1)");
  refused([](ModelConfig& c) { c.norm_eps = 0; }, "model: norm_eps 0 is not positive");
  refused([](ModelConfig& c) { c.rope_theta = -2; }, "model: rope_theta -2 is not positive");
  // The number of parameters must not overflow.
  refused([](ModelConfig& c) { c.vocab = 1 << 30, c.width = 1 << 30; },
          "model: sizes that make 7.60928e+19 parameters are out of range");
}
