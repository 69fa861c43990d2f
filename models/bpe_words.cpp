#include "models/bpe_words.h"

#include <utf8proc.h>

#include <array>

#include "models/utf8.h"

namespace galvan {
namespace {

enum class CharacterClass : char { letter, number, space, other };

CharacterClass classify(int32_t c) {
  if ((c >= '\t' && c <= '\r') || c == 0x85) return CharacterClass::space;
  switch (utf8proc_category(c)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
      return CharacterClass::letter;
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_NO:
      return CharacterClass::number;
    case UTF8PROC_CATEGORY_ZS:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
      return CharacterClass::space;
    default:
      return CharacterClass::other;
  }
}

struct Character {
  CharacterClass kind;
  size_t length;
};

Character character_at(std::string_view text, size_t at) {
  static const std::array<CharacterClass, 128> ascii = [] {
    std::array<CharacterClass, 128> classes;
    for (int32_t c = 0; c < 128; ++c) classes[static_cast<size_t>(c)] = classify(c);
    return classes;
  }();
  const unsigned char byte = static_cast<unsigned char>(text[at]);
  if (byte < 128) return {ascii[byte], 1};
  const CodePoint c = code_point_at(text, at);
  return {c.value < 0 ? CharacterClass::other : classify(c.value), static_cast<size_t>(c.length)};
}

// 's 't 're 've 'm 'll 'd: the length of the one at text[start], 0 if there is none.
size_t contraction_length(std::string_view text, size_t start) {
  if (text[start] != '\'') return 0;
  const std::string_view rest = text.substr(start + 1, 2);
  for (std::string_view ending : {"s", "t", "re", "ve", "m", "ll", "d"})
    if (rest.starts_with(ending)) return 1 + ending.size();
  return 0;
}

}  // namespace

size_t word_end(std::string_view text, size_t start) {
  if (const size_t length = contraction_length(text, start)) return start + length;

  size_t at = start;
  Character c = character_at(text, at);
  if (text[at] == ' ' && at + 1 < text.size()) {
    const Character next = character_at(text, at + 1);
    if (next.kind != CharacterClass::space) {
      ++at;
      c = next;
    }
  }
  const CharacterClass kind = c.kind;
  size_t last = at;
  for (;;) {
    last = at;
    at += c.length;
    if (at == text.size()) return at;
    c = character_at(text, at);
    if (c.kind != kind) break;
  }
  // Of white space before a word, the last one stays: it may belong to that word. A single one has to go
  // alone.
  return kind == CharacterClass::space && last > start ? last : at;
}

}  // namespace galvan
