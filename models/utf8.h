// UTF-8, read strictly: no overlong forms, no surrogates, nothing above U+10FFFF.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace galvan {

struct CodePoint {
  int32_t value;  // -1 where the bytes are not valid UTF-8
  int length;     // in bytes: 1 to 4, and 1 where not valid
};

// The code point that starts at text[at]; at < text.size().
CodePoint code_point_at(std::string_view text, size_t at);

void append_utf8(std::string& text, int32_t code_point);

// The offset of the first byte that is not valid UTF-8, text.size() when all are.
size_t find_invalid_utf8(std::string_view text);

// How many bytes at the end begin a code point that more bytes could complete: 0 to 3.
size_t incomplete_utf8_tail(std::string_view text);

// Each invalid byte replaced by U+FFFD.
std::string replace_invalid_utf8(std::string_view text);

// The characters (code points) in valid UTF-8. Additive over pieces, wherever the text is cut.
int64_t count_characters(std::string_view text);

// How an error message shows a code point: "é" (U+00E9), and U+0007 alone where nothing can be seen.
std::string describe_code_point(int32_t code_point);

}  // namespace galvan
