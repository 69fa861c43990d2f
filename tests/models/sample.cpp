#include "models/sample.h"

#include <doctest/doctest.h>

#include <cmath>

#include "core/autograd.h"
#include "tests/models/small_model.h"

using namespace galvan;

TEST_CASE("options out of their range") {
  CHECK_THROWS_WITH_AS(validate(SampleOptions{.temperature = -1}), "sample: temperature -1 is not 0 or more",
                       Error);
  CHECK_THROWS_WITH_AS(validate(SampleOptions{.top_p = 0}), "sample: top_p 0 is not in (0, 1]", Error);
}

TEST_CASE("logits that are no numbers") {
  const auto tokenizer = CharacterTokenizer::train("abcdefghijklmnopqrst");
  const Transformer model(small_gpt2());
  for (const auto& [name, parameter] : model.parameters()) {
    NoGrad guard;
    parameter.fill_(NAN);
  }
  CHECK_THROWS_WITH_AS(generate(model, *tokenizer, "a", {.tokens = 3}), "sample: the model's logits hold NaN",
                       Error);
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
