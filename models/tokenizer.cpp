#include "models/tokenizer.h"

#include <algorithm>
#include <set>

#include "core/check.h"
#include "models/files.h"
#include "models/tokenizer_json.h"
#include "models/utf8.h"

namespace galvan {

std::string_view to_string(TokenizerKind kind) {
  switch (kind) {
    case TokenizerKind::character:
      return "char";
    case TokenizerKind::byte:
      return "byte";
    case TokenizerKind::bpe:
      return "bpe";
  }
  return "";
}

const std::string& Tokenizer::token(int32_t id) const {
  check(id >= 0 && id < vocab_size(), "tokenizer: token ", id, " is outside the vocabulary of ",
        vocab_size());
  return tokens_[static_cast<size_t>(id)];
}

std::string Tokenizer::decode(std::span<const int32_t> ids) const {
  std::string text;
  for (int32_t id : ids) text += token(id);
  return text;
}

int64_t Tokenizer::count_characters(std::span<const int32_t> ids) const {
  int64_t count = 0;
  for (int32_t id : ids) count += galvan::count_characters(token(id));
  return count;
}

uint64_t Tokenizer::fingerprint() const {
  uint64_t hash = 14695981039346656037u;  // FNV-1a
  for (char c : to_json()) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211u;
  return hash;
}

void Tokenizer::save(const std::filesystem::path& path) const { write_file_atomically(path, to_json()); }

std::string Tokenizer::transformers_config() {
  return "{\n  \"tokenizer_class\": \"PreTrainedTokenizerFast\",\n  \"clean_up_tokenization_spaces\": "
         "false\n}\n";
}

std::unique_ptr<Tokenizer> Tokenizer::load(const std::filesystem::path& path) {
  const std::string json = read_text_file(path);
  try {
    return from_json(json);
  } catch (const Error& error) {
    fail(path.string(), ": ", error.what());
  }
}

std::unique_ptr<Tokenizer> Tokenizer::from_json(std::string_view json) { return read_tokenizer_json(json); }

std::unique_ptr<CharacterTokenizer> CharacterTokenizer::train(std::string_view text) {
  check(!text.empty(), "tokenizer: the text is empty");
  std::vector<bool> seen(0x110000);
  for (size_t at = 0; at < text.size();) {
    const CodePoint c = code_point_at(text, at);
    check(c.value >= 0, "tokenizer: the text is not UTF-8 at byte ", at, ": binary file?");
    seen[static_cast<size_t>(c.value)] = true;
    at += static_cast<size_t>(c.length);
  }
  std::vector<std::string> characters;
  for (size_t c = 0; c < seen.size(); ++c)
    if (seen[c]) append_utf8(characters.emplace_back(), static_cast<int32_t>(c));
  return std::make_unique<CharacterTokenizer>(std::move(characters));
}

CharacterTokenizer::CharacterTokenizer(std::vector<std::string> characters)
    : Tokenizer(std::move(characters)) {
  for (size_t id = 0; id < tokens().size(); ++id) {
    const std::string& character = tokens()[id];
    const CodePoint c = character.empty() ? CodePoint{-1, 0} : code_point_at(character, 0);
    check(c.value >= 0 && static_cast<size_t>(c.length) == character.size(), "tokenizer: token ", id, ", \"",
          character, "\", is not one character");
    const size_t value = static_cast<size_t>(c.value);
    if (value >= id_of_code_point_.size()) id_of_code_point_.resize(value + 1, -1);
    check(id_of_code_point_[value] < 0, "tokenizer: ", describe_code_point(c.value), " is there twice");
    id_of_code_point_[value] = static_cast<int32_t>(id);
  }
}

std::vector<int32_t> CharacterTokenizer::encode(std::string_view text) const {
  std::vector<int32_t> ids;
  ids.reserve(text.size());
  for (size_t at = 0; at < text.size();) {
    const CodePoint c = code_point_at(text, at);
    check(c.value >= 0, "tokenizer: the text is not UTF-8 at byte ", at, ": binary file?");
    const size_t value = static_cast<size_t>(c.value);
    const int32_t id = value < id_of_code_point_.size() ? id_of_code_point_[value] : -1;
    if (id < 0)  // not check(): its arguments are worked out every time
      fail("tokenizer: ", describe_code_point(c.value), " at byte ", at, " is not among the ", vocab_size(),
           " characters of the vocabulary");
    ids.push_back(id);
    at += static_cast<size_t>(c.length);
  }
  return ids;
}

std::string CharacterTokenizer::to_json() const { return character_tokenizer_json(tokens()); }

std::string StreamingDecoder::push(int32_t id) {
  held_ += tokenizer_.token(id);
  const size_t ready = held_.size() - incomplete_utf8_tail(held_);
  const std::string shown = replace_invalid_utf8(std::string_view(held_).substr(0, ready));
  held_.erase(0, ready);
  return shown;
}

std::string StreamingDecoder::finish() {
  const std::string shown = replace_invalid_utf8(held_);
  held_.clear();
  return shown;
}

}  // namespace galvan
