#include "models/token_file.h"

#include <doctest/doctest.h>

#include <numeric>

#include "core/check.h"
#include "tests/models/temporary_directory.h"

using namespace galvan;

namespace {

std::vector<int32_t> all(const TokenArray& tokens) {
  std::vector<int32_t> out(static_cast<size_t>(tokens.size()));
  tokens.read(0, out);
  return out;
}

}  // namespace

TEST_CASE("token file: what is saved is opened again, at 2 and at 4 bytes a token") {
  TemporaryDirectory directory;
  const std::filesystem::path path = directory.path() / "tokens.bin";
  for (int64_t vocab_size : {1, 255, 65536, 65537, 1 << 30}) {
    for (size_t n : {0, 1, 3, 31, 33}) {
      std::vector<int32_t> ids(n);
      for (size_t i = 0; i < n; ++i)
        ids[i] = static_cast<int32_t>(vocab_size - 1 - static_cast<int64_t>(i) % vocab_size);
      const TokenArray tokens(ids, vocab_size, 7);
      CHECK(all(tokens) == ids);
      tokens.save(path);
      CHECK(std::filesystem::file_size(path) == 64 + n * (vocab_size <= 65536 ? 2 : 4));
      const TokenArray opened = TokenArray::open(path);
      CHECK(all(opened) == ids);
      CHECK(opened.vocab_size() == vocab_size);
      CHECK(opened.fingerprint() == 7);
    }
  }
}

TEST_CASE("token file: a part is read, also after a move") {
  TemporaryDirectory directory;
  std::vector<int32_t> ids(101);
  std::iota(ids.begin(), ids.end(), 0);
  TokenArray(ids, 101).save(directory.path() / "t");
  TokenArray opened = TokenArray::open(directory.path() / "t");
  const TokenArray moved = std::move(opened);
  std::vector<int32_t> part(3);
  moved.read(98, part);
  CHECK(part == std::vector<int32_t>{98, 99, 100});
}

TEST_CASE("token file: foreign and damaged files are refused in one line") {
  TemporaryDirectory directory;
  const std::filesystem::path path = directory.path() / "tokens.bin";
  TokenArray(std::vector<int32_t>{1, 2, 3, 4, 5}, 6).save(path);
  const std::string good = read_text_file(path);

  const auto error_of = [&](const std::string& bytes) -> std::string {
    write_file_atomically(path, bytes);
    try {
      TokenArray::open(path);
    } catch (const Error& error) {
      const std::string what = error.what();
      REQUIRE(what.starts_with(path.string() + ": "));
      return what.substr(path.string().size() + 2);
    }
    return "no error";
  };
  const auto with = [&](size_t at, char byte) {
    std::string bytes = good;
    bytes[at] = byte;
    return bytes;
  };
  CHECK(error_of("") == "not a token file");
  CHECK(error_of("To be, or not to be, that is the question, and a few bytes more than 64.") ==
        "not a token file");
  CHECK(error_of(good.substr(0, 63)) == "not a token file");
  CHECK(error_of(with(8, 2)) == "token file of format version 2, this program reads 1");
  CHECK(error_of(with(12, 3)) == "damaged token file: 3 bytes per token");
  CHECK(error_of(with(23, '\x80')) == "damaged token file: -9223372036854775803 tokens, vocabulary of 6");
  CHECK(error_of(with(24, 0)) == "damaged token file: 5 tokens, vocabulary of 0");
  CHECK(error_of(good.substr(0, good.size() - 2)) ==
        "damaged token file: has room for 4 tokens, should hold 5");
  CHECK(error_of(good.substr(0, good.size() - 1)) ==
        "damaged token file: has room for 4 tokens, should hold 5");
  CHECK(error_of(good + "x") == "damaged token file: has room for 5 tokens, should hold 5");
  CHECK(error_of(with(16, 6)) == "damaged token file: has room for 5 tokens, should hold 6");
  CHECK(error_of(with(72, 9)) == "damaged token file: its checksum is wrong");
  CHECK(error_of(with(24, 5)) == "damaged token file: token 5 is outside the vocabulary of 5");
  CHECK(error_of(good) == "no error");
}

TEST_CASE("token file: a token outside the vocabulary") {
  CHECK_THROWS_WITH_AS(TokenArray(std::vector<int32_t>{0, 65}, 65),
                       "data: token 65 is outside the vocabulary of 65", Error);
  CHECK_THROWS_WITH_AS(TokenArray(std::vector<int32_t>{-1}, 65),
                       "data: token -1 is outside the vocabulary of 65", Error);
}
