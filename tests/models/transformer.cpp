#include "models/transformer.h"

#include <doctest/doctest.h>

#include <cmath>

#include "core/autograd.h"
#include "core/parallel.h"
#include "optim/adam.h"
#include "optim/sgd.h"
#include "tests/core/close.h"
#include "tests/models/small_model.h"

using namespace galvan;

namespace {

const ModelConfig kStyles[] = {small_gpt2(), small_llama()};

// Mean loss of tokens that follow each other, and all gradients.
struct Pass {
  double loss;
  std::map<std::string, std::vector<double>> gradients;
};
Pass loss_and_gradients(const Transformer& model, const Tensor& ids, uint32_t step = 0,
                        uint32_t micro_step = 0) {
  RandomContext::current().begin(7, step, micro_step);
  for (const auto& [name, tensor] : model.parameters()) tensor.set_grad({});
  const int64_t T = ids.size(1) - 1;
  const Tensor loss = cross_entropy(model(ids.slice(1, 0, T)), ids.slice(1, 1, T + 1));
  loss.backward();
  Pass pass{.loss = loss.item(), .gradients = {}};
  for (const auto& [name, tensor] : model.parameters()) pass.gradients[name] = tensor.grad().to_vector();
  return pass;
}

}  // namespace

TEST_CASE("a model's loss is its logits' cross-entropy") {
  for (const ModelConfig& config : kStyles) {
    const Transformer model(config);
    const Tensor ids = some_tokens(3, 8, config.vocab), x = ids.slice(1, 0, 7), y = ids.slice(1, 1, 8);
    for (const CrossEntropyOptions& options :
         {CrossEntropyOptions{}, CrossEntropyOptions{.ignore_index = 1, .label_smoothing = 0.1},
          CrossEntropyOptions{.reduction = Reduction::sum},
          CrossEntropyOptions{.reduction = Reduction::none}})
      CHECK(model.loss(x, y, options, false).to_vector() ==
            cross_entropy(model(x, false), y, options).to_vector());
  }
}

TEST_CASE("the three floating-point types agree") {
  for (const ModelConfig& config : kStyles) {
    const Tensor ids = some_tokens(3, 8, config.vocab);
    std::map<DType, Pass> passes;
    for (DType dtype : {DType::f64, DType::f32, DType::bf16}) {
      const Transformer model(config, {.tensor = {.dtype = dtype}});
      scramble(model);
      CHECK(model(ids).shape() == Shape{3, 8, config.vocab});
      CHECK(model(ids).dtype() == dtype);
      passes[dtype] = loss_and_gradients(model, ids);
    }
    const double loss = passes[DType::f64].loss;
    CHECK(loss > 2);
    CHECK(std::abs(passes[DType::f32].loss - loss) < 1e-5);
    CHECK(passes[DType::f32].loss != loss);
    CHECK(std::abs(passes[DType::bf16].loss - loss) < 0.05);
    for (const auto& [key, gradient] : passes[DType::f64].gradients) {
      const std::string& name = key;  // clang 14 captures no structured bindings
      CAPTURE(name);
      CHECK(largest_difference(passes[DType::f32].gradients[name], gradient) < 1e-5);
      CHECK(largest_difference(passes[DType::bf16].gradients[name], gradient) < 0.05);
      // Every parameter matters; but a bias of keys adds the same to all scores of a query.
      CHECK(largest_difference(gradient, std::vector<double>(gradient.size())) > 1e-6);
    }
  }
}

TEST_CASE("the number of parameters is the configuration's") {
  for (ModelConfig config : kStyles)
    for (bool tied : {true, false})
      for (bool bias : {true, false}) {
        config.tied_head = tied;
        config.bias = bias;
        int64_t count = 0;
        for (const auto& [name, tensor] : Transformer(config).parameters()) {
          count += tensor.numel();
          CHECK(tensor.requires_grad());
          if (!bias) CHECK_FALSE(name.ends_with("bias"));
        }
        CHECK(count == config.parameters());
      }
}

TEST_CASE("initial values") {
  ModelConfig config = small_llama();
  config.width = 128;
  config.vocab = 97;
  config.layers = 3;
  const Transformer model(config, {.seed = 3});
  for (const auto& [key, tensor] : model.parameters()) {
    const std::string& name = key;  // clang 14 captures no structured bindings
    CAPTURE(name);
    const std::vector<double> values = tensor.to_vector();
    double sum = 0, squares = 0;
    for (double v : values) sum += v, squares += v * v;
    const double n = static_cast<double>(values.size()), mean = sum / n,
                 stddev = std::sqrt(squares / n - mean * mean);
    if (name.find("norm") != std::string::npos) {
      CHECK(mean == 1);
      CHECK(stddev == 0);
      continue;
    }
    const bool residual = name.ends_with("attention.out.weight") || name.ends_with("mlp.down.weight");
    const double expected = residual ? 0.02 / std::sqrt(6.0) : 0.02;
    CHECK(std::abs(mean) < 5 * expected / std::sqrt(n));                   // 5 standard errors
    CHECK(std::abs(stddev - expected) < 5 * expected / std::sqrt(2 * n));  // likewise
  }
  // Another seed, other values; the same seed, the same; a parameter's own do not depend on what else there is.
  const auto first = values_of(model.parameters());
  CHECK(first == values_of(Transformer(config, {.seed = 3}).parameters()));
  CHECK(first != values_of(Transformer(config, {.seed = 4}).parameters()));
  config.layers = 2;
  CHECK(first.at("blocks.1.mlp.up.weight") ==
        values_of(Transformer(config, {.seed = 3}).parameters()).at("blocks.1.mlp.up.weight"));
  CHECK(first.at("blocks.0.mlp.up.weight") != first.at("blocks.1.mlp.up.weight"));
  for (const auto& [name, values] : values_of(Transformer(small_gpt2()).parameters()))
    if (name.ends_with("bias")) CHECK(values == std::vector<double>(values.size()));
  // A model that knows nothing is as good as guessing.
  const Tensor ids = some_tokens(4, 9, config.vocab);
  CHECK(loss_and_gradients(model, ids).loss == doctest::Approx(std::log(97.0)).epsilon(0.02));
}

TEST_CASE("a position sees what came before it only") {
  for (const ModelConfig& config : kStyles) {
    const Transformer model(config);
    scramble(model);
    NoGrad guard;
    const std::vector<double> first = model(some_tokens(1, 9, config.vocab)).to_vector();
    std::vector<int32_t> changed = golden_integers(9, 1, static_cast<uint32_t>(config.vocab));
    changed[5] = (changed[5] + 1) % static_cast<int32_t>(config.vocab);
    const std::vector<double> second = model(Tensor::from(changed, {1, 9})).to_vector();
    for (int64_t t = 0; t < 9; ++t) {
      CAPTURE(t);
      const auto row = [&](const std::vector<double>& logits) {
        return std::vector<double>(logits.begin() + t * config.vocab,
                                   logits.begin() + (t + 1) * config.vocab);
      };
      CHECK((row(first) == row(second)) == (t < 5));
    }
  }
}

TEST_CASE("recomputing blocks changes nothing but memory") {
  for (ModelConfig config : kStyles)
    for (double dropout : {0.0, 0.3})
      for (DType dtype : {DType::f64, DType::f32, DType::bf16}) {
        CAPTURE(dropout);
        CAPTURE(dtype);
        config.dropout = dropout;
        config.recompute = false;
        const Transformer plain(config, {.tensor = {.dtype = dtype}});
        config.recompute = true;
        const Transformer recomputed(config, {.tensor = {.dtype = dtype}});
        scramble(plain);
        scramble(recomputed);
        const Tensor ids = some_tokens(3, 8, config.vocab);
        const Pass expected = loss_and_gradients(plain, ids), got = loss_and_gradients(recomputed, ids);
        CHECK(got.loss == expected.loss);
        for (const auto& [key, gradient] : expected.gradients) {
          const std::string& parameter = key;  // clang 14 captures no structured bindings
          CAPTURE(parameter);
          CHECK(got.gradients.at(parameter) == gradient);
        }
      }
}

TEST_CASE("dropout: other masks for another step and micro-step, none outside training") {
  ModelConfig config = small_gpt2();
  config.dropout = 0.2;
  const Transformer model(config);
  scramble(model);
  const Tensor ids = some_tokens(2, 8, config.vocab);
  const double loss = loss_and_gradients(model, ids, 3, 1).loss;
  CHECK(loss_and_gradients(model, ids, 3, 1).loss == loss);
  CHECK(loss_and_gradients(model, ids, 4, 1).loss != loss);
  CHECK(loss_and_gradients(model, ids, 3, 0).loss != loss);

  const Transformer without(small_gpt2());
  scramble(without);
  CHECK(model(ids, false).to_vector() == without(ids).to_vector());
}

TEST_CASE("keys and values kept from earlier positions give the same logits") {
  for (const ModelConfig& config : kStyles)
    for (bool recompute : {false, true}) {
      ModelConfig c = config;
      c.recompute = recompute;
      const Transformer model(c, {.tensor = {.dtype = DType::f64}});
      scramble(model);
      NoGrad guard;
      const int64_t B = 3, T = c.context;
      const Tensor ids = some_tokens(B, T, c.vocab);
      const Tensor logits = model(ids, false);
      const auto expect_row = [&](const Tensor& got, int64_t t) {
        CAPTURE(t);
        CHECK(got.shape() == Shape{B, c.vocab});
        CHECK(largest_difference(got.to_vector(), logits.select(1, t).to_vector()) < 1e-12);
      };
      KeyValueCache one_by_one = model.make_cache(B);
      for (int64_t t = 0; t < T; ++t) expect_row(model.next_logits(ids.slice(1, t, t + 1), one_by_one), t);
      CHECK(one_by_one.length == T);
      KeyValueCache at_once = model.make_cache(B);
      expect_row(model.next_logits(ids, at_once), T - 1);
      KeyValueCache in_pieces = model.make_cache(B);
      expect_row(model.next_logits(ids.slice(1, 0, 4), in_pieces), 3);
      expect_row(model.next_logits(ids.slice(1, 4, 5), in_pieces), 4);
      expect_row(model.next_logits(ids.slice(1, 5, T), in_pieces), T - 1);
    }
}

TEST_CASE("tokens that do not fit the model") {
  const Transformer model(small_gpt2());
  CHECK_THROWS_WITH_AS(model(some_tokens(2, 10, 19)), "transformer: 10 positions, but the context is 9",
                       Error);
  CHECK_THROWS_WITH_AS(model(some_tokens(1, 9, 19).reshape({9})),
                       "transformer: tokens must be [B, T], not [9]", Error);
  CHECK_THROWS_AS(model(some_tokens(2, 9, 200)), Error);
  CHECK_THROWS_WITH_AS(model(some_tokens(2, 0, 19)), "transformer: tokens must be [B, T], not [2, 0]", Error);

  KeyValueCache cache = model.make_cache(2);
  model.next_logits(some_tokens(2, 9, 19), cache);
  CHECK_THROWS_WITH_AS(model.next_logits(some_tokens(2, 1, 19), cache),
                       "transformer: 10 positions, but the context is 9", Error);
  CHECK_THROWS_WITH_AS(model.next_logits(some_tokens(1, 9, 19).reshape({9}), cache),
                       "transformer: tokens must be [B, T], not [9]", Error);
  KeyValueCache narrow = model.make_cache(2);
  CHECK_THROWS_WITH_AS(model.next_logits(some_tokens(1, 3, 19), narrow),
                       "transformer: 1 sequences, but the cache is for 2", Error);
}

TEST_CASE("a tied head is the embedding") {
  ModelConfig config = small_gpt2();
  const Transformer tied(config);
  config.tied_head = false;
  const Transformer untied(config);
  scramble(tied);
  scramble(untied);
  for (const auto& [name, tensor] : untied.parameters())
    if (name == "head.weight") tensor.detach().copy_(tied.parameters()[0].second.detach());
  const Tensor ids = some_tokens(2, 8, config.vocab);
  const Pass one = loss_and_gradients(tied, ids), two = loss_and_gradients(untied, ids);
  CHECK(one.loss == two.loss);
  CHECK(one.gradients.count("head.weight") == 0);
  std::vector<double> both = two.gradients.at("embedding.weight");
  for (size_t i = 0; i < both.size(); ++i) both[i] += two.gradients.at("head.weight")[i];
  CHECK(largest_difference(one.gradients.at("embedding.weight"), both) < 1e-6);
}

TEST_CASE("training gives the same bits whatever the number of threads") {
  const int before = threads();
  for (ModelConfig config : kStyles) {
    config.context = 16;
    config.width = 48;
    config.dropout = 0.1;
    std::map<int, std::map<std::string, std::vector<double>>> weights;
    for (int count : {1, 2, 3}) {
      set_threads(count);
      const Transformer model(config, {.seed = 5});
      AdamW optimizer(model.parameters(), {.lr = 1e-2});
      for (uint32_t step = 0; step < 5; ++step) {
        const Tensor ids = some_tokens(5, 17, config.vocab, step);
        RandomContext::current().begin(1, step, 0);
        cross_entropy(model(ids.slice(1, 0, 16)), ids.slice(1, 1, 17)).backward();
        optimizer.step({.clip_norm = 1.0});
        optimizer.zero_grad();
      }
      weights[count] = values_of(model.parameters());
    }
    CHECK(weights[1] == weights[2]);
    CHECK(weights[1] == weights[3]);
    CHECK(weights[1] != values_of(Transformer(config, {.seed = 5}).parameters()));
  }
  set_threads(before);
}

TEST_CASE("two parameters never draw the same values") {
  CHECK(stream_of("blocks.7935.attention.qkv.bias") == stream_of("blocks.9109.attention.out.weight"));
  const ModelConfig deep{.vocab = 2, .context = 1, .layers = 9110, .heads = 1, .width = 2, .mlp_width = 1};
  CHECK_THROWS_WITH_AS(Transformer{deep},
                       "transformer: blocks.7935.attention.qkv.bias and blocks.9109.attention.out.weight "
                       "share a random stream; a model this deep needs other names",
                       Error);
}
