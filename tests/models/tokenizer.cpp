#include "models/tokenizer.h"

#include <doctest/doctest.h>

#include <random>

#include "core/check.h"
#include "models/bpe.h"
#include "models/files.h"
#include "models/utf8.h"
#include "tests/models/temporary_directory.h"

using namespace galvan;

using Ids = std::vector<int32_t>;

TEST_CASE("tokenizer: characters are numbered in the order of their code points") {
  const auto tokenizer = CharacterTokenizer::train("bébé, 🌊\nab");
  CHECK(tokenizer->kind() == TokenizerKind::character);
  CHECK(tokenizer->vocab_size() == 7);
  CHECK(tokenizer->encode("\n ,abé🌊") == Ids{0, 1, 2, 3, 4, 5, 6});
  CHECK(tokenizer->decode(Ids{6, 5, 4}) == "🌊éb");
  CHECK(tokenizer->encode("").empty());
  CHECK(tokenizer->count_characters(Ids{6, 5, 4}) == 3);
}

TEST_CASE("tokenizer: the character tokenizer names what it does not know") {
  const auto tokenizer = CharacterTokenizer::train("abc");
  CHECK_THROWS_WITH_AS(tokenizer->encode("abéc"),
                       "tokenizer: \"é\" (U+00E9) at byte 2 is not among the 3 characters of the vocabulary",
                       Error);
  CHECK_THROWS_WITH_AS(tokenizer->encode("a\n"),
                       "tokenizer: U+000A at byte 1 is not among the 3 characters of the vocabulary", Error);
  CHECK_THROWS_WITH_AS(tokenizer->encode("a\xFF"), "tokenizer: the text is not UTF-8 at byte 1: binary file?",
                       Error);
  CHECK_THROWS_WITH_AS(CharacterTokenizer::train("abc\x80"),
                       "tokenizer: the text is not UTF-8 at byte 3: binary file?", Error);
  CHECK_THROWS_WITH_AS(CharacterTokenizer::train(""), "tokenizer: the text is empty", Error);
  CHECK_THROWS_WITH_AS(tokenizer->decode(Ids{0, 3}), "tokenizer: token 3 is outside the vocabulary of 3",
                       Error);
  CHECK_THROWS_WITH_AS(tokenizer->decode(Ids{-1}), "tokenizer: token -1 is outside the vocabulary of 3",
                       Error);
  CHECK_THROWS_WITH_AS(CharacterTokenizer({"a", "bc"}), "tokenizer: token 1, \"bc\", is not one character",
                       Error);
  CHECK_THROWS_WITH_AS(CharacterTokenizer({"a", "é", "é"}), "tokenizer: \"é\" (U+00E9) is there twice",
                       Error);
}

TEST_CASE("tokenizer: byte tokens are the bytes") {
  const auto tokenizer = BpeTokenizer::bytes();
  CHECK(tokenizer->kind() == TokenizerKind::byte);
  CHECK(tokenizer->vocab_size() == 256);
  CHECK(tokenizer->encode("é\n") == Ids{0xC3, 0xA9, 10});
  CHECK(tokenizer->count_characters(Ids{0xC3, 0xA9, 10}) == 2);
}

TEST_CASE("tokenizer: every kind saves and loads to the same tokens") {
  const std::string text = "The sea, the sea; \"été\" \\ the waves\n\tthe waves.";
  std::vector<std::unique_ptr<Tokenizer>> tokenizers;
  tokenizers.push_back(CharacterTokenizer::train(text));
  tokenizers.push_back(BpeTokenizer::bytes());
  tokenizers.push_back(BpeTokenizer::train(text, {.vocab_size = 270}));
  tokenizers.push_back(BpeTokenizer::train(text, {.vocab_size = 271, .special_tokens = {"<|end|>"}}));
  TemporaryDirectory directory;
  for (const auto& tokenizer : tokenizers) {
    tokenizer->save(directory.path() / "tokenizer.json");
    const auto loaded = Tokenizer::load(directory.path() / "tokenizer.json");
    CHECK(loaded->kind() == tokenizer->kind());
    CHECK(loaded->vocab_size() == tokenizer->vocab_size());
    CHECK(loaded->encode(text) == tokenizer->encode(text));
    CHECK(loaded->decode(loaded->encode(text)) == text);
    CHECK(loaded->to_json() == tokenizer->to_json());
    CHECK(loaded->fingerprint() == tokenizer->fingerprint());
  }
  CHECK(tokenizers[0]->fingerprint() != tokenizers[1]->fingerprint());
  CHECK(tokenizers[2]->fingerprint() != tokenizers[3]->fingerprint());
}

TEST_CASE("tokenizer: any bytes come back from byte and BPE tokens") {
  const auto bytes = BpeTokenizer::bytes();
  const auto bpe = BpeTokenizer::train("the sea the sea \xC3\xA9t\xC3\xA9 \xC3\xA9t\xC3\xA9  'll 'll",
                                       {.vocab_size = 280});
  std::mt19937 random(1);
  const std::string common = "the sea'l \n\xC3\xA9\xE2\x80\x83";
  for (int round = 0; round < 500; ++round) {
    std::string text;
    for (size_t length = random() % 70; text.size() < length;)
      text.push_back(random() % 3 == 0 ? static_cast<char>(random()) : common[random() % common.size()]);
    CHECK(bytes->decode(bytes->encode(text)) == text);
    CHECK(bpe->decode(bpe->encode(text)) == text);
  }
}

TEST_CASE("tokenizer: streaming shows whole characters only") {
  const auto tokenizer = BpeTokenizer::bytes();
  StreamingDecoder decoder(*tokenizer);
  std::vector<std::string> shown;
  for (int32_t id : tokenizer->encode("a🌊é")) shown.push_back(decoder.push(id));
  CHECK(shown == std::vector<std::string>{"a", "", "", "", "🌊", "", "é"});
  CHECK(decoder.finish().empty());

  CHECK(decoder.push(0xFF) == "\uFFFD");
  CHECK(decoder.push(0xE2).empty());
  CHECK(decoder.push('x') == "\uFFFDx");
  CHECK(decoder.push(0xE2).empty());
  CHECK(decoder.finish() == "\uFFFD");
  CHECK(decoder.push('y') == "y");
}

TEST_CASE("tokenizer: streaming any bytes gives valid UTF-8, the text itself where it is valid") {
  const auto tokenizer = BpeTokenizer::bytes();
  std::mt19937 random(2);
  for (int round = 0; round < 200; ++round) {
    std::string text;
    for (int i = 0; i < 20; ++i) {
      if (round % 2 == 0) text.push_back(static_cast<char>(random()));
      if (round % 2 == 1) append_utf8(text, static_cast<int32_t>(random() % 0xD800));
    }
    StreamingDecoder decoder(*tokenizer);
    std::string shown;
    for (int32_t id : tokenizer->encode(text)) {
      shown += decoder.push(id);
      REQUIRE(find_invalid_utf8(shown) == shown.size());
    }
    shown += decoder.finish();
    CHECK(shown == replace_invalid_utf8(text));
  }
}
