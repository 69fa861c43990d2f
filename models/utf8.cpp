#include "models/utf8.h"

#include <utf8proc.h>

#include <algorithm>
#include <cstdio>

namespace galvan {
namespace {

bool is_continuation(char byte) { return (static_cast<unsigned char>(byte) & 0xC0) == 0x80; }

// What the first byte of a code point says about its length; 1 for bytes that start none.
size_t length_from_lead(unsigned char lead) {
  return lead >= 0xF5 ? 1 : lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC2 ? 2 : 1;
}

}  // namespace

CodePoint code_point_at(std::string_view text, size_t at) {
  const auto* bytes = reinterpret_cast<const utf8proc_uint8_t*>(text.data()) + at;
  if (*bytes < 0x80) return {*bytes, 1};
  utf8proc_int32_t value;
  const utf8proc_ssize_t left = static_cast<utf8proc_ssize_t>(std::min<size_t>(text.size() - at, 4));
  const utf8proc_ssize_t length = utf8proc_iterate(bytes, left, &value);
  return length > 0 ? CodePoint{value, static_cast<int>(length)} : CodePoint{-1, 1};
}

void append_utf8(std::string& text, int32_t code_point) {
  utf8proc_uint8_t bytes[4];
  const utf8proc_ssize_t length = utf8proc_encode_char(code_point, bytes);
  text.append(reinterpret_cast<const char*>(bytes), static_cast<size_t>(length));
}

size_t find_invalid_utf8(std::string_view text) {
  size_t at = 0;
  while (at < text.size()) {
    const CodePoint c = code_point_at(text, at);
    if (c.value < 0) break;
    at += static_cast<size_t>(c.length);
  }
  return at;
}

size_t incomplete_utf8_tail(std::string_view text) {
  for (size_t tail = 1; tail <= std::min<size_t>(3, text.size()); ++tail) {
    const char byte = text[text.size() - tail];
    if (is_continuation(byte)) continue;
    return length_from_lead(static_cast<unsigned char>(byte)) > tail ? tail : 0;
  }
  return 0;
}

std::string replace_invalid_utf8(std::string_view text) {
  std::string valid;
  for (size_t at = 0; at < text.size();) {
    const CodePoint c = code_point_at(text, at);
    append_utf8(valid, c.value < 0 ? 0xFFFD : c.value);
    at += static_cast<size_t>(c.length);
  }
  return valid;
}

int64_t count_characters(std::string_view text) {
  return std::count_if(text.begin(), text.end(), [](char byte) { return !is_continuation(byte); });
}

std::string describe_code_point(int32_t code_point) {
  char number[16];
  std::snprintf(number, sizeof number, "U+%04X", static_cast<unsigned>(code_point));
  const utf8proc_category_t category = utf8proc_category(code_point);
  const bool invisible =
      category == UTF8PROC_CATEGORY_CN || category >= UTF8PROC_CATEGORY_ZS;  // spaces, controls
  if (invisible && code_point != ' ') return number;
  std::string shown = "\"";
  append_utf8(shown, code_point);
  return shown + "\" (" + number + ")";
}

}  // namespace galvan
