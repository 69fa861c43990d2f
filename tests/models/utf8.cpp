#include "models/utf8.h"

#include <doctest/doctest.h>

using namespace galvan;

TEST_CASE("utf8: code points of one to four bytes are read and written") {
  for (int32_t c : {0, 0x61, 0x7F, 0x80, 0x7FF, 0x800, 0xD7FF, 0xE000, 0xFFFF, 0x10000, 0x10FFFF}) {
    std::string text = "x";
    append_utf8(text, c);
    text += "y";
    const CodePoint read = code_point_at(text, 1);
    CHECK(read.value == c);
    CHECK(static_cast<size_t>(read.length) == text.size() - 2);
    CHECK(find_invalid_utf8(text) == text.size());
    CHECK(count_characters(text) == 3);
  }
}

TEST_CASE("utf8: overlong forms, surrogates, lone and missing continuations are invalid") {
  for (const std::string bad :
       {"\x80", "\xC0\x80", "\xC1\xBF", "\xE0\x80\x80", "\xED\xA0\x80", "\xF0\x80\x80\x80",
        "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xFF", "\xC3", "\xE2\x82", "\xF0\x9F\x8C"}) {
    CHECK(code_point_at(bad, 0).value == -1);
    CHECK(code_point_at(bad, 0).length == 1);
    CHECK(find_invalid_utf8("ab" + bad + "c") == 2);
  }
}

TEST_CASE("utf8: only a tail that more bytes can complete is incomplete") {
  CHECK(incomplete_utf8_tail("") == 0);
  CHECK(incomplete_utf8_tail("abc") == 0);
  CHECK(incomplete_utf8_tail("é") == 0);
  CHECK(incomplete_utf8_tail("a\xC3") == 1);
  CHECK(incomplete_utf8_tail("\xE2\x82") == 2);
  CHECK(incomplete_utf8_tail("🌊\xF0\x9F\x8C") == 3);
  CHECK(incomplete_utf8_tail("a\x80\x80\x80") == 0);
  CHECK(incomplete_utf8_tail("a\xFF") == 0);
}

TEST_CASE("utf8: invalid bytes are replaced, the others kept") {
  CHECK(replace_invalid_utf8("aé\xFFz\xC3") == "aé\uFFFDz\uFFFD");
  CHECK(replace_invalid_utf8("").empty());
}

TEST_CASE("utf8: a code point is shown unless there is nothing to see") {
  CHECK(describe_code_point(0xE9) == "\"é\" (U+00E9)");
  CHECK(describe_code_point(0x1F30A) == "\"🌊\" (U+1F30A)");
  CHECK(describe_code_point(7) == "U+0007");
  CHECK(describe_code_point('\n') == "U+000A");
}
