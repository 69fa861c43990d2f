#include "models/sample.h"

#include <doctest/doctest.h>

#include <cmath>

#include "core/autograd.h"
#include "tests/models/small_model.h"

using namespace galvan;

namespace {

// How often each token comes in 1000 draws at evenly spread u.
std::vector<int> draws(const std::vector<double>& probabilities, const SampleOptions& options) {
  std::vector<double> logits;
  for (double p : probabilities) logits.push_back(std::log(p));
  std::vector<int> counts(logits.size());
  for (int i = 0; i < 1000; ++i)
    ++counts[static_cast<size_t>(choose_token(logits, options, (i + 0.5) / 1000))];
  return counts;
}

}  // namespace

TEST_CASE("tokens are drawn with their probabilities") {
  const std::vector<double> p = {0.1, 0.4, 0.2, 0.0, 0.3};
  CHECK(draws(p, {}) == std::vector<int>{100, 400, 200, 0, 300});
  CHECK(draws(p, {.temperature = 0}) == std::vector<int>{0, 1000, 0, 0, 0});
  CHECK(draws(p, {.top_k = 1}) == std::vector<int>{0, 1000, 0, 0, 0});
  CHECK(draws({0.1, 0.6, 0.3}, {.top_k = 2}) == std::vector<int>{0, 667, 333});
  CHECK(draws(p, {.top_p = 0.69}) == std::vector<int>{0, 571, 0, 0, 429});
  CHECK(draws({0.2, 0.8}, {.temperature = 0.5}) == std::vector<int>{59, 941});  // squares: 0.04 to 0.64
  CHECK_THROWS_WITH_AS(draws({0.5, NAN}, {}), "sample: the model's logits hold NaN", Error);
  CHECK_THROWS_AS(draws({0.0, 0.0}, {}), Error);
  CHECK_THROWS_WITH_AS(validate(SampleOptions{.temperature = -1}), "sample: temperature -1 is not 0 or more",
                       Error);
  CHECK_THROWS_WITH_AS(validate(SampleOptions{.top_p = 0}), "sample: top_p 0 is not in (0, 1]", Error);
}

TEST_CASE("text goes on past the context, repeats with its seed, and ends before the stop text") {
  const auto tokenizer = CharacterTokenizer::train("abcdefghijklmnopqr\xC3\xA4");
  const Transformer model(small_gpt2());
  scramble(model);
  const auto text = [&](const std::string& prompt, const SampleOptions& options,
                        std::string* shown = nullptr) {
    return generate(model, *tokenizer, prompt, options, [&](const std::string& piece) {
      CHECK((static_cast<unsigned char>(piece[0]) & 0xC0) != 0x80);  // whole code points
      if (shown) *shown += piece;
    });
  };
  std::string shown;
  const std::string one = text("abc", {.tokens = 100, .seed = 1}, &shown);
  CHECK(shown == one);
  CHECK(tokenizer->encode(one).size() == 100);
  CHECK(text("abc", {.tokens = 100, .seed = 1}) == one);
  CHECK(text("abc", {.tokens = 100, .seed = 2}) != one);
  CHECK(text("abcdefghijklmnopqr", {.tokens = 5, .seed = 1}).size() >=
        5);  // a prompt longer than the context
  CHECK(text("", {.tokens = 0}).empty());

  for (size_t at : {20u, 30u, 40u}) {
    const std::vector<int32_t> ids = tokenizer->encode(one);
    const std::string stop = tokenizer->decode(std::span(ids).subspan(at, 3));
    CAPTURE(stop);
    shown.clear();
    const std::string cut = text("abc", {.tokens = 100, .seed = 1, .stop = stop}, &shown);
    CHECK(cut == one.substr(0, one.find(stop)));
    CHECK(shown == cut);
  }
  // Greedy text is what the whole forward says, token after token.
  std::vector<int32_t> ids = tokenizer->encode("abc");
  NoGrad guard;
  for (int i = 0; i < 6; ++i) {
    const auto n = static_cast<int64_t>(ids.size());
    ids.push_back(
        static_cast<int32_t>(argmax(model(Tensor::from(ids, {1, n}), false).select(1, n - 1), -1).item()));
  }
  CHECK("abc" + text("abc", {.tokens = 6, .temperature = 0}) == tokenizer->decode(ids));
}
