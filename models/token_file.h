// Tokens in memory or in a file that is mapped, 2 bytes each where the vocabulary allows it, else 4.
//
// A token file, all little-endian:
//
//   offset  bytes
//        0      8  "GALVANTK"
//        8      4  format version, 1
//       12      4  bytes per token, 2 or 4
//       16      8  number of tokens
//       24      8  size of the vocabulary; every token is below it
//       32      8  fingerprint of the tokenizer (Tokenizer::fingerprint), 0 if unknown
//       40      8  checksum of the tokens (FNV-1a over 8-byte words, the last one filled up with zeros)
//       48     16  zeros
//       64         the tokens
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <vector>

#include "models/files.h"

namespace galvan {

class TokenArray {
 public:
  TokenArray() = default;

  // Copies; every token must be in 0 .. vocab_size - 1.
  TokenArray(std::span<const int32_t> tokens, int64_t vocab_size, uint64_t fingerprint = 0);

  // Maps a token file. A foreign, newer, cut or damaged one, or one with a token outside of its vocabulary, is an
  // Error that names the file. Reads all of it, to see that.
  static TokenArray open(const std::filesystem::path& path);

  // Writes a token file, atomically.
  void save(const std::filesystem::path& path) const;

  int64_t size() const { return size_; }
  int64_t vocab_size() const { return vocab_size_; }
  uint64_t fingerprint() const { return fingerprint_; }

  // Tokens begin .. begin + out.size() - 1, all inside.
  void read(int64_t begin, std::span<int32_t> out) const;

 private:
  std::span<const std::byte> bytes() const;

  std::vector<std::byte> owned_;
  MappedFile mapped_;
  int64_t size_ = 0, vocab_size_ = 0, width_ = 2;
  uint64_t fingerprint_ = 0;
};

}  // namespace galvan
