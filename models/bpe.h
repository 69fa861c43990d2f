// Byte-level byte-pair encoding, as in GPT-2 (Radford et al., "Language Models are Unsupervised Multitask
// Learners", 2019, section 2.2; Sennrich, Haddow, Birch, "Neural Machine Translation of Rare Words with
// Subword Units", 2016).
//
// Text is cut into words (models/bpe_words.h); a word starts as its bytes, and neighbours are merged, the
// pair that was learnt first before all others, until no pair is known. Any bytes can be encoded, and decode
// to themselves.
#pragma once

#include <array>
#include <unordered_map>

#include "models/tokenizer.h"

namespace galvan {

struct BpeMerge {
  int32_t left, right;  // tokens
  int32_t merged;       // the token whose bytes are both
};

// A token that is found in text before it is cut into words, and is never merged: "<|endoftext|>".
struct AddedToken {
  int32_t id;
  bool special;  // kept in the file for other readers; encoding does not use it
};

struct BpeParts {
  std::vector<std::string> tokens;  // bytes
  std::vector<BpeMerge> merges;     // in the order they were learnt
  std::vector<AddedToken> added = {};
  bool split_words = true;  // false: the whole text is one word
};

struct BpeTrainingOptions {
  int64_t vocab_size = 4096;                     // reached only if the text has pairs enough
  int64_t min_frequency = 2;                     // pairs seen less often are not merged
  std::vector<std::string> special_tokens = {};  // the first ids, and cut out of the training text
};

class BpeTokenizer : public Tokenizer {
 public:
  // Learns merges: the most frequent pair first, of equally frequent ones the one with the smaller left, then
  // right token. Gives the merges and ids of the tokenizers library's BpeTrainer with the byte-level
  // alphabet.
  static std::unique_ptr<BpeTokenizer> train(std::string_view text, const BpeTrainingOptions& options);

  // The byte tokenizer: no merges, token i is byte i.
  static std::unique_ptr<BpeTokenizer> bytes();

  explicit BpeTokenizer(BpeParts parts);

  TokenizerKind kind() const override;
  // A byte that is no token is an Error; that happens only with files whose vocabulary lacks some of the 256.
  std::vector<int32_t> encode(std::string_view text) const override;
  std::string to_json() const override;

 private:
  struct Learnt {
    int32_t rank, merged;
  };
  struct PairHash {
    size_t operator()(uint64_t pair) const { return (pair * 0x9E3779B97F4A7C15u) ^ (pair >> 29); }
  };
  class Encoder;

  const Learnt* find_merge(int32_t left, int32_t right) const;
  // The added token that starts at text[at], the longest if there are several; -1 if none.
  int32_t added_token_at(std::string_view text, size_t at) const;

  std::vector<BpeMerge> merges_;
  std::vector<AddedToken> added_;  // longest first
  bool split_words_;
  std::unordered_map<uint64_t, Learnt, PairHash> learnt_;
  std::array<int32_t, 256> id_of_byte_;
  std::array<bool, 256> starts_added_{};
};

}  // namespace galvan
