// Text to tokens and back. Three kinds share one interface:
//
//   character  one token for each Unicode code point of the training text, sorted
//   byte       256 tokens, one for each byte
//   bpe        byte-level byte-pair encoding, trained here or read from a GPT-2-style file (models/bpe.h)
//
// Every kind is saved as a Hugging Face tokenizer.json that the tokenizers library loads and encodes alike:
//
//   auto tokenizer = CharacterTokenizer::train(text);
//   tokenizer->save("run/tokenizer.json");
//   std::vector<int32_t> ids = Tokenizer::load("run/tokenizer.json")->encode("To be");
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace galvan {

enum class TokenizerKind { character, byte, bpe };

std::string_view to_string(TokenizerKind kind);  // "char", "byte", "bpe"

class Tokenizer {
 public:
  virtual ~Tokenizer() = default;

  virtual TokenizerKind kind() const = 0;
  virtual std::vector<int32_t> encode(std::string_view text) const = 0;
  virtual std::string to_json() const = 0;

  // Tokens are numbered 0 .. vocab_size() - 1. An id outside is an Error in all of these.
  int64_t vocab_size() const { return static_cast<int64_t>(tokens_.size()); }
  const std::string& token(int32_t id) const;                    // its bytes
  std::string decode(std::span<const int32_t> ids) const;        // byte for byte, so not always valid UTF-8
  int64_t count_characters(std::span<const int32_t> ids) const;  // code points begun by these tokens

  // A number that changes when the file does: tells whether tokens on disk were made by this tokenizer.
  uint64_t fingerprint() const;

  void save(const std::filesystem::path& path) const;

  // What has to stand in a tokenizer_config.json beside it for Transformers: without, it takes a folder with
  // a GPT-2 model for one with GPT-2's tokenizer too.
  static std::string transformers_config();

  // Throws Error with one line that names the file and what in it is not understood.
  static std::unique_ptr<Tokenizer> load(const std::filesystem::path& path);
  static std::unique_ptr<Tokenizer> from_json(std::string_view json);

 protected:
  explicit Tokenizer(std::vector<std::string> tokens) : tokens_(std::move(tokens)) {}
  const std::vector<std::string>& tokens() const { return tokens_; }

 private:
  std::vector<std::string> tokens_;
};

class CharacterTokenizer : public Tokenizer {
 public:
  // The text's code points in ascending order. Empty text, or text that is not UTF-8, is an Error.
  static std::unique_ptr<CharacterTokenizer> train(std::string_view text);

  // Each token must be one code point, and no two the same.
  explicit CharacterTokenizer(std::vector<std::string> characters);

  TokenizerKind kind() const override { return TokenizerKind::character; }
  // A character that training did not see is an Error that names it.
  std::vector<int32_t> encode(std::string_view text) const override;
  std::string to_json() const override;

 private:
  std::vector<int32_t> id_of_code_point_;  // -1: not in the vocabulary
};

// Decodes a stream token by token into valid UTF-8, for a terminal: bytes of a code point that is not
// complete yet are held back, bytes that are not UTF-8 become U+FFFD.
class StreamingDecoder {
 public:
  explicit StreamingDecoder(const Tokenizer& tokenizer) : tokenizer_(tokenizer) {}

  std::string push(int32_t id);  // what can be shown now; maybe nothing
  std::string finish();          // what was held back

 private:
  const Tokenizer& tokenizer_;
  std::string held_;
};

}  // namespace galvan
