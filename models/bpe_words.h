// How GPT-2 cuts text into words before byte-pair encoding. The rule is the regular expression
//
//   's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
//
// scanned by hand. "I don't   know!" gives "I", " don", "'t", "  ", " know", "!".
#pragma once

#include <cstddef>
#include <string_view>

namespace galvan {

// The end of the word that starts at text[start]; start < text.size(). Bytes that are not UTF-8 count as
// punctuation.
size_t word_end(std::string_view text, size_t start);

}  // namespace galvan
