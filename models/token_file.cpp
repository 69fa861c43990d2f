#include "models/token_file.h"

#include <algorithm>
#include <bit>
#include <cassert>
#include <cstring>
#include <string>

#include "core/check.h"

namespace galvan {
namespace {

static_assert(std::endian::native == std::endian::little, "token files are little-endian");

struct Header {
  char magic[8] = {'G', 'A', 'L', 'V', 'A', 'N', 'T', 'K'};
  uint32_t version = 1;
  uint32_t width = 0;
  int64_t size = 0;
  int64_t vocab_size = 0;
  uint64_t fingerprint = 0;
  uint64_t checksum = 0;
  uint64_t reserved[2] = {0, 0};
};
static_assert(sizeof(Header) == 64);

uint64_t checksum(std::span<const std::byte> bytes) {
  uint64_t hash = 14695981039346656037u;
  for (size_t at = 0; at < bytes.size(); at += 8) {
    uint64_t word = 0;
    std::memcpy(&word, bytes.data() + at, std::min<size_t>(8, bytes.size() - at));
    hash = (hash ^ word) * 1099511628211u;
  }
  return hash;
}

template <class Token>
void widen(const std::byte* from, std::span<int32_t> to) {
  for (size_t i = 0; i < to.size(); ++i) {
    Token token;
    std::memcpy(&token, from + i * sizeof(Token), sizeof(Token));
    to[i] = static_cast<int32_t>(token);
  }
}

}  // namespace

TokenArray::TokenArray(std::span<const int32_t> tokens, int64_t vocab_size, uint64_t fingerprint)
    : size_(static_cast<int64_t>(tokens.size())),
      vocab_size_(vocab_size),
      width_(vocab_size <= 1 << 16 ? 2 : 4),
      fingerprint_(fingerprint) {
  owned_.resize(tokens.size() * static_cast<size_t>(width_));
  std::byte* to = owned_.data();
  for (int32_t token : tokens) {
    if (token < 0 || token >= vocab_size)
      fail("data: token ", token, " is outside the vocabulary of ", vocab_size);
    std::memcpy(to, &token, static_cast<size_t>(width_));
    to += width_;
  }
}

std::span<const std::byte> TokenArray::bytes() const {
  return mapped_.size() > 0 ? mapped_.bytes().subspan(sizeof(Header)) : std::span<const std::byte>(owned_);
}

TokenArray TokenArray::open(const std::filesystem::path& path) {
  const std::string name = path.string();
  TokenArray tokens;
  tokens.mapped_ = MappedFile(path);
  const MappedFile& file = tokens.mapped_;
  Header header;
  check(file.size() >= sizeof(Header) && std::memcmp(file.data(), header.magic, sizeof header.magic) == 0,
        name, ": not a token file");
  std::memcpy(&header, file.data(), sizeof(Header));
  check(header.version == 1, name, ": token file of format version ", header.version,
        ", this program reads 1");
  check(header.width == 2 || header.width == 4, name, ": damaged token file: ", header.width,
        " bytes per token");
  const size_t there = (file.size() - sizeof(Header)) / header.width;
  check(header.size >= 0 && header.vocab_size > 0 && header.vocab_size <= int64_t{1} << 31, name,
        ": damaged token file: ", header.size, " tokens, vocabulary of ", header.vocab_size);
  check(static_cast<uint64_t>(header.size) == there && (file.size() - sizeof(Header)) % header.width == 0,
        name, ": damaged token file: has room for ", there, " tokens, should hold ", header.size);
  tokens.size_ = header.size;
  tokens.vocab_size_ = header.vocab_size;
  tokens.width_ = header.width;
  tokens.fingerprint_ = header.fingerprint;
  check(checksum(tokens.bytes()) == header.checksum, name, ": damaged token file: its checksum is wrong");
  std::vector<int32_t> piece(1 << 16);
  for (int64_t begin = 0; begin < tokens.size_; begin += static_cast<int64_t>(piece.size())) {
    piece.resize(static_cast<size_t>(std::min(tokens.size_ - begin, static_cast<int64_t>(piece.size()))));
    tokens.read(begin, piece);
    for (const int32_t token : piece)
      check(token >= 0 && token < tokens.vocab_size_, name, ": damaged token file: token ", token,
            " is outside the vocabulary of ", tokens.vocab_size_);
  }
  return tokens;
}

void TokenArray::save(const std::filesystem::path& path) const {
  Header header;
  header.width = static_cast<uint32_t>(width_);
  header.size = size_;
  header.vocab_size = vocab_size_;
  header.fingerprint = fingerprint_;
  header.checksum = checksum(bytes());
  AtomicFile file(path);
  file.write(&header, sizeof header);
  file.write(bytes().data(), bytes().size());
  file.commit();
}

void TokenArray::read(int64_t begin, std::span<int32_t> out) const {
  assert(begin >= 0 && begin + static_cast<int64_t>(out.size()) <= size_);
  const std::byte* from = bytes().data() + begin * width_;
  width_ == 2 ? widen<uint16_t>(from, out) : widen<int32_t>(from, out);
}

}  // namespace galvan
