// Byte-pair encoding against golden values of Hugging Face's tokenizers (tests/golden/make_tokenizer.py).

#include "models/bpe.h"

#include <doctest/doctest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "core/check.h"
#include "models/bpe_words.h"

using namespace galvan;
using nlohmann::json;

using Ids = std::vector<int32_t>;

namespace {

const json& golden() {
  static const json values = json::parse(std::ifstream(GALVAN_SOURCE_DIR "/tests/golden/tokenizer.json"));
  return values;
}

std::vector<std::string> words(std::string_view text) {
  std::vector<std::string> result;
  for (size_t start = 0; start < text.size();) {
    const size_t end = word_end(text, start);
    result.emplace_back(text.substr(start, end - start));
    start = end;
  }
  return result;
}

}  // namespace

TEST_CASE("bpe: text is cut into words as in GPT-2") {
  CHECK(words("I don't   know!") == std::vector<std::string>{"I", " don", "'t", "  ", " know", "!"});
  REQUIRE(golden()["texts"].size() > 10);
  for (const json& sample : golden()["texts"]) {
    CAPTURE(sample["text"].get<std::string>());
    CHECK(words(sample["text"].get<std::string>()) == sample["words"].get<std::vector<std::string>>());
  }
}

TEST_CASE("bpe: training learns the merges and ids of Hugging Face's trainer") {
  const json& wanted = golden()["trained"]["model"];
  const auto tokenizer = BpeTokenizer::train(golden()["training"].get<std::string>(),
                                             {.vocab_size = static_cast<int64_t>(wanted["vocab"].size())});
  const json model = json::parse(tokenizer->to_json())["model"];
  CHECK(model["vocab"] == wanted["vocab"]);
  CHECK(model["merges"] == wanted["merges"]);
  for (const json& sample : golden()["texts"]) {
    const std::string text = sample["text"].get<std::string>();
    CAPTURE(text);
    CHECK(tokenizer->encode(text) == sample["trained"].get<Ids>());
    CHECK(tokenizer->decode(sample["trained"].get<Ids>()) == text);
  }
}

TEST_CASE("bpe: both kinds of tokenizer.json load and encode as there") {
  for (const char* file : {"trained", "gpt2"}) {
    const auto tokenizer = Tokenizer::from_json(golden()[file].dump());
    const auto again = Tokenizer::from_json(tokenizer->to_json());
    for (const json& sample : golden()["texts"]) {
      const std::string text = sample["text"].get<std::string>();
      CAPTURE(text);
      CHECK(tokenizer->encode(text) == sample[file].get<Ids>());
      CHECK(again->encode(text) == sample[file].get<Ids>());
      CHECK(tokenizer->decode(sample[file].get<Ids>()) == text);
    }
  }
}

TEST_CASE("bpe: of equally frequent pairs the one with the smaller tokens is merged first") {
  // Twice each: " c"+..., "cd", "ab", "xy"; a < c < x, and the space, as U+0120, comes after all of them.
  const auto tokenizer = BpeTokenizer::train("xy ab cd xy ab cd", {.vocab_size = 259});
  CHECK(tokenizer->token(256) == "ab");
  CHECK(tokenizer->token(257) == "cd");
  CHECK(tokenizer->token(258) == "xy");
}

TEST_CASE("bpe: runs of one character") {
  const auto tokenizer = BpeTokenizer::train("aaaaaaaa aaaa", {.vocab_size = 258});
  CHECK(tokenizer->token(256) == "aa");
  CHECK(tokenizer->token(257) == "aaaa");
  CHECK(tokenizer->encode("aaaaaaa") == Ids{257, 256, 64});
}

TEST_CASE("bpe: training stops when the text has no more pairs") {
  CHECK(BpeTokenizer::train("ab ab", {.vocab_size = 5000})->vocab_size() == 257);
  CHECK(BpeTokenizer::train("abcd", {.vocab_size = 5000})->vocab_size() == 256);
  CHECK(BpeTokenizer::train("abcd", {.vocab_size = 5000, .min_frequency = 1})->vocab_size() == 259);
  CHECK(BpeTokenizer::train("ab ab", {.vocab_size = 256})->kind() == TokenizerKind::bpe);
}

TEST_CASE("bpe: special tokens come first and are not learnt from") {
  const auto tokenizer =
      BpeTokenizer::train("<end>ab<end>ab<end><end>", {.vocab_size = 300, .special_tokens = {"<end>"}});
  CHECK(tokenizer->vocab_size() == 258);
  CHECK(tokenizer->token(0) == "<end>");
  CHECK(tokenizer->encode("<end>ab<end") == Ids{0, 257, 28, 69, 78, 68});
  CHECK(tokenizer->decode(Ids{0, 257, 0}) == "<end>ab<end>");

  const auto nested = BpeTokenizer::train("ab", {.special_tokens = {"<e>", "<e><e>"}});
  CHECK(nested->encode("<e><e><e>") == Ids{1, 0});
}

TEST_CASE("bpe: a long text without spaces is one word, and encodes at once") {
  std::string text;
  for (size_t i = 0; i < 100'000; ++i) text.push_back("abc"[i * i % 7 % 3]);
  const auto tokenizer = BpeTokenizer::train(text, {.vocab_size = 300});
  const Ids ids = tokenizer->encode(text);
  CHECK(ids.size() < text.size() / 8);
  CHECK(tokenizer->decode(ids) == text);
}

TEST_CASE("bpe: wrong sizes") {
  CHECK_THROWS_WITH_AS(BpeTokenizer::train("ab", {.vocab_size = 255}),
                       "bpe: a vocabulary of 255 is smaller than the 256 tokens it begins with", Error);
  CHECK_THROWS_WITH_AS(BpeTokenizer::train("ab", {.vocab_size = 256, .special_tokens = {"<end>"}}),
                       "bpe: a vocabulary of 256 is smaller than the 257 tokens it begins with", Error);
  CHECK_THROWS_WITH_AS(BpeTokenizer::train("", {}), "bpe: the text is empty", Error);
  CHECK_THROWS_WITH_AS(BpeTokenizer::train("ab", {.special_tokens = {""}}), "bpe: a special token is empty",
                       Error);
}
