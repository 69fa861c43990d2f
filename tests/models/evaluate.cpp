// evaluate() against a plain loop that predicts one token at a time.
#include "models/evaluate.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "core/autograd.h"
#include "models/bpe.h"
#include "tests/models/small_model.h"

using namespace galvan;

namespace {

// Characters of one to four bytes.
const char* const kText =
    "na\u00efve caf\u00e9: \u20ac5 \u2192 \U0001F600 and \u00e9t\u00e9, na\u00efve \u20ac7 "
    "\U0001F600\U0001F601!";

Transformer model_for(const Tokenizer& tokenizer, DType dtype = DType::f64) {
  ModelConfig config = small_gpt2();
  config.vocab = tokenizer.vocab_size();
  config.dropout = 0.5;  // has to be off
  Transformer model(config, {.tensor = {.dtype = dtype}});
  scramble(model);
  return model;
}

// The bytes that begin a code point: all but 10xxxxxx.
int64_t code_points(const std::string& bytes) {
  int64_t count = 0;
  for (unsigned char byte : bytes) count += (byte & 0xc0) != 0x80;
  return count;
}

// Token i of the range is predicted from those since the beginning of its window, and from no others.
Evaluation plain(const Transformer& model, const std::vector<int32_t>& ids, TokenRange range,
                 const Tokenizer& tokenizer, int64_t context) {
  NoGrad guard;
  double loss = 0, correct = 0;
  std::string predicted;
  for (int64_t i = range.begin + 1; i < range.end; ++i) {
    const int64_t begin = range.begin + (i - 1 - range.begin) / context * context;
    const std::vector<int32_t> before(ids.begin() + begin, ids.begin() + i);
    const auto n = static_cast<int64_t>(before.size());
    const std::vector<double> logits =
        model(Tensor::from(before, {1, n}), false).select(1, n - 1).to_vector();
    const auto target = static_cast<size_t>(ids[static_cast<size_t>(i)]);
    double sum = 0;
    bool likeliest = true;
    for (double logit : logits) {
      sum += std::exp(logit);
      likeliest = likeliest && logit <= logits[target];
    }
    loss += std::log(sum) - logits[target];
    correct += likeliest;
    predicted += tokenizer.token(static_cast<int32_t>(target));
  }
  const auto n = static_cast<double>(range.size() - 1);
  return {.loss = loss / n,
          .accuracy = correct / n,
          .perplexity = std::exp(loss / n),
          .bits_per_character = loss / std::log(2.0) / static_cast<double>(code_points(predicted)),
          .tokens = range.size() - 1};
}

void check_same(const Evaluation& got, const Evaluation& expected, double tolerance) {
  CHECK(got.loss == doctest::Approx(expected.loss).epsilon(tolerance));
  CHECK(got.accuracy == doctest::Approx(expected.accuracy).epsilon(1e-15));
  CHECK(got.perplexity == doctest::Approx(expected.perplexity).epsilon(tolerance));
  CHECK(got.bits_per_character == doctest::Approx(expected.bits_per_character).epsilon(tolerance));
  CHECK(got.tokens == expected.tokens);
}

}  // namespace

TEST_CASE("an evaluation is what predicting token by token gives, whatever the batches") {
  const std::unique_ptr<Tokenizer> tokenizers[] = {CharacterTokenizer::train(kText), BpeTokenizer::bytes(),
                                                   BpeTokenizer::train(kText, {.vocab_size = 270})};
  for (const auto& tokenizer : tokenizers) {
    CAPTURE(to_string(tokenizer->kind()));
    const Transformer model = model_for(*tokenizer);
    const std::vector<int32_t> ids = tokenizer->encode(kText);
    const TokenArray tokens(ids, tokenizer->vocab_size());
    const int64_t own = model.config().context;
    for (const TokenRange range : {TokenRange{0, tokens.size()}, TokenRange{3, tokens.size() - 1},
                                   TokenRange{2, 2 + own + 1}, TokenRange{5, 7}}) {
      CAPTURE(range.begin);
      CAPTURE(range.end);
      const Evaluation expected = plain(model, ids, range, *tokenizer, own);
      CHECK(expected.accuracy < 1);
      for (const int64_t batch_size : {1, 3, 100})
        check_same(evaluate(model, tokens, range, *tokenizer, batch_size), expected, 1e-12);
      for (const int64_t context : {1, 4})
        check_same(evaluate(model, tokens, range, *tokenizer, 2, context),
                   plain(model, ids, range, *tokenizer, context), 1e-12);
    }
    check_same(evaluate(model_for(*tokenizer, DType::f32), tokens, {0, tokens.size()}, *tokenizer),
               plain(model, ids, {0, tokens.size()}, *tokenizer, own), 1e-5);
  }
}

TEST_CASE("a model that knows nothing: ln V, perplexity V, log2 V bits a token") {
  const auto bytes = BpeTokenizer::bytes();
  const Transformer model = model_for(*bytes);
  for (const auto& [name, tensor] : model.parameters()) tensor.detach().fill_(0);
  const auto evaluated = [&](const char* text) {
    const TokenArray tokens(bytes->encode(text), bytes->vocab_size());
    return evaluate(model, tokens, {0, tokens.size()}, *bytes, 2);
  };
  // 1 + 2 + 3 + 4 bytes: nine are predicted, and three characters begin among them.
  const Evaluation e = evaluated("a\u00e9\u20ac\U0001F600");
  CHECK(e.tokens == 9);
  CHECK(e.loss == doctest::Approx(std::log(256.0)).epsilon(1e-14));
  CHECK(e.perplexity == doctest::Approx(256.0).epsilon(1e-14));
  CHECK(e.bits_per_character == doctest::Approx(8.0 * 9 / 3).epsilon(1e-14));
  CHECK(e.accuracy == 0);                                  // of equals the first is taken, the zero byte
  CHECK(evaluated("\U0001F600").bits_per_character == 0);  // no character begins: not infinity
}

TEST_CASE("a range with nothing to predict is refused") {
  const auto bytes = BpeTokenizer::bytes();
  const TokenArray tokens(bytes->encode("abc"), bytes->vocab_size());
  CHECK_THROWS_WITH_AS(evaluate(model_for(*bytes), tokens, {1, 2}, *bytes),
                       "data: the validation split has 1 tokens, fewer than 2", Error);
}

TEST_CASE("evaluating records nothing and draws nothing") {
  const auto bytes = BpeTokenizer::bytes();
  const TokenArray tokens(bytes->encode(kText), bytes->vocab_size());
  const Transformer model = model_for(*bytes);
  RandomContext::current().begin(1, 2, 3);
  evaluate(model, tokens, {0, tokens.size()}, *bytes);
  CHECK(RandomContext::current().state().stream == 0);
  CHECK(grad_enabled());
  for (const auto& [name, tensor] : model.parameters()) CHECK(!tensor.grad().defined());
}
