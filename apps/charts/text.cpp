#include "apps/charts/text.h"

#include <cstdint>

namespace galvan::charts {
namespace {

// The length of the well-formed UTF-8 character at the start of `text`, or 0. As the Unicode standard's table
// 3-7 has it, so without surrogates and overlong forms.
size_t character_length(std::string_view text) {
  const auto byte = [&](size_t i) { return i < text.size() ? static_cast<uint8_t>(text[i]) : uint8_t{0}; };
  const auto in = [&](size_t i, int low, int high) { return byte(i) >= low && byte(i) <= high; };
  const uint8_t lead = byte(0);
  if (lead < 0x80) return 1;
  if (lead >= 0xC2 && lead <= 0xDF) return in(1, 0x80, 0xBF) ? 2 : 0;
  if (lead >= 0xE0 && lead <= 0xEF) {
    const bool second = in(1, lead == 0xE0 ? 0xA0 : 0x80, lead == 0xED ? 0x9F : 0xBF);
    return second && in(2, 0x80, 0xBF) ? 3 : 0;
  }
  if (lead >= 0xF0 && lead <= 0xF4) {
    const bool second = in(1, lead == 0xF0 ? 0x90 : 0x80, lead == 0xF4 ? 0x8F : 0xBF);
    return second && in(2, 0x80, 0xBF) && in(3, 0x80, 0xBF) ? 4 : 0;
  }
  return 0;
}

// Calls f with each character; what is no UTF-8 comes as "?".
template <class F>
void each_character(std::string_view text, F f) {
  while (!text.empty()) {
    const size_t length = character_length(text);
    f(length == 0 ? std::string_view("?") : text.substr(0, length));
    text.remove_prefix(length == 0 ? 1 : length);
  }
}

bool is_control(std::string_view character) {
  const auto byte = static_cast<uint8_t>(character[0]);
  return byte < 0x20 || byte == 0x7F;
}

}  // namespace

int display_width(std::string_view text) {
  int width = 0;
  each_character(text, [&](std::string_view) { ++width; });
  return width;
}

std::string fit(std::string_view text, int width) {
  const bool cut = display_width(text) > width;
  std::string out;
  int used = 0;
  each_character(text, [&](std::string_view character) {
    if (++used <= width - (cut ? 1 : 0)) out += is_control(character) ? std::string_view(" ") : character;
  });
  return cut && width > 0 ? out + "~" : out;
}

std::string escape_xml(std::string_view text) {
  std::string out;
  each_character(text, [&](std::string_view character) {
    if (character == "&")
      out += "&amp;";
    else if (character == "<")
      out += "&lt;";
    else if (character == ">")
      out += "&gt;";
    else if (character == "\"")
      out += "&quot;";
    else if (is_control(character))
      out += " ";
    else if (character == "\xEF\xBF\xBE" || character == "\xEF\xBF\xBF")
      out += "?";
    else
      out += character;
  });
  return out;
}

}  // namespace galvan::charts
