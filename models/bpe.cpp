#include "models/bpe.h"

#include <algorithm>
#include <queue>
#include <string>

#include "core/check.h"
#include "models/bpe_words.h"
#include "models/tokenizer_json.h"

namespace galvan {
namespace {

uint64_t pair_key(int32_t left, int32_t right) {
  return static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32 | static_cast<uint32_t>(right);
}

}  // namespace

std::unique_ptr<BpeTokenizer> BpeTokenizer::bytes() {
  BpeParts parts;
  for (int byte = 0; byte < 256; ++byte) parts.tokens.emplace_back(1, static_cast<char>(byte));
  parts.split_words = false;
  return std::make_unique<BpeTokenizer>(std::move(parts));
}

BpeTokenizer::BpeTokenizer(BpeParts parts)
    : Tokenizer(std::move(parts.tokens)),
      merges_(std::move(parts.merges)),
      added_(std::move(parts.added)),
      split_words_(parts.split_words) {
  std::vector<bool> is_added(tokens().size());
  for (const AddedToken& added : added_) {
    check(!token(added.id).empty(), "tokenizer: the added token ", added.id, " is empty");
    is_added[static_cast<size_t>(added.id)] = true;
    starts_added_[static_cast<unsigned char>(token(added.id)[0])] = true;
  }
  std::stable_sort(added_.begin(), added_.end(), [this](const AddedToken& a, const AddedToken& b) {
    return token(a.id).size() > token(b.id).size();
  });

  id_of_byte_.fill(-1);
  for (size_t id = 0; id < tokens().size(); ++id)
    if (tokens()[id].size() == 1 && !is_added[id])
      id_of_byte_[static_cast<unsigned char>(tokens()[id][0])] = static_cast<int32_t>(id);

  learnt_.reserve(merges_.size());
  for (size_t rank = 0; rank < merges_.size(); ++rank) {
    const BpeMerge& merge = merges_[rank];
    check(token(merge.left) + token(merge.right) == token(merge.merged), "tokenizer: merge ", rank,
          " does not give its token");
    learnt_.emplace(pair_key(merge.left, merge.right), Learnt{static_cast<int32_t>(rank), merge.merged});
  }
}

TokenizerKind BpeTokenizer::kind() const {
  if (vocab_size() != 256 || !merges_.empty() || !added_.empty()) return TokenizerKind::bpe;
  for (size_t byte = 0; byte < 256; ++byte)
    if (id_of_byte_[byte] != static_cast<int32_t>(byte)) return TokenizerKind::bpe;
  return TokenizerKind::byte;
}

std::string BpeTokenizer::to_json() const {
  return bpe_tokenizer_json(tokens(), merges_, added_, split_words_);
}

const BpeTokenizer::Learnt* BpeTokenizer::find_merge(int32_t left, int32_t right) const {
  const auto found = learnt_.find(pair_key(left, right));
  return found == learnt_.end() ? nullptr : &found->second;
}

int32_t BpeTokenizer::added_token_at(std::string_view text, size_t at) const {
  if (!starts_added_[static_cast<unsigned char>(text[at])]) return -1;
  for (const AddedToken& added : added_)
    if (text.substr(at).starts_with(token(added.id))) return added.id;
  return -1;
}

// Encodes the words of one text. Words repeat, so their tokens are remembered.
class BpeTokenizer::Encoder {
 public:
  explicit Encoder(const BpeTokenizer& tokenizer) : tokenizer_(tokenizer) {}

  void append_word(std::string_view word, std::vector<int32_t>& ids) {
    const auto known = cache_.find(word);
    if (known != cache_.end()) {
      const auto [begin, end] = known->second;
      ids.insert(ids.end(), cached_ids_.begin() + begin, cached_ids_.begin() + end);
      return;
    }
    const size_t before = ids.size();
    encode_word(word, ids);
    if (word.size() > kLongestCached || cache_.size() == kMostCached) return;
    const auto begin = static_cast<std::ptrdiff_t>(cached_ids_.size());
    cached_ids_.insert(cached_ids_.end(), ids.begin() + static_cast<std::ptrdiff_t>(before), ids.end());
    cache_.emplace(word, std::pair(begin, static_cast<std::ptrdiff_t>(cached_ids_.size())));
  }

 private:
  static constexpr size_t kLongestCached = 64;    // bytes
  static constexpr size_t kMostCached = 1 << 20;  // words

  struct Symbol {
    int32_t id;  // -1: merged into the one on its left
    int64_t previous, next;
  };
  struct Candidate {
    int32_t rank;
    int64_t at;
    int32_t merged;
    bool operator>(const Candidate& other) const {
      return rank != other.rank ? rank > other.rank : at > other.at;
    }
  };

  // n log n in the length of the word: a text without spaces is one word.
  void encode_word(std::string_view word, std::vector<int32_t>& ids) {
    symbols_.clear();
    for (size_t i = 0; i < word.size(); ++i) {
      const int64_t at = static_cast<int64_t>(i);
      const int32_t id = tokenizer_.id_of_byte_[static_cast<unsigned char>(word[i])];
      check(id >= 0, "tokenizer: byte ", static_cast<int>(static_cast<unsigned char>(word[i])),
            " is not in the vocabulary");
      symbols_.push_back({id, at - 1, i + 1 < word.size() ? at + 1 : -1});
    }
    for (int64_t at = 0; at + 1 < static_cast<int64_t>(symbols_.size()); ++at) propose(at);
    while (!candidates_.empty()) {
      const Candidate best = candidates_.top();
      candidates_.pop();
      apply(best);
    }
    for (const Symbol& symbol : symbols_)
      if (symbol.id >= 0) ids.push_back(symbol.id);
  }

  Symbol& symbol(int64_t at) { return symbols_[static_cast<size_t>(at)]; }

  void propose(int64_t at) {
    const Learnt* merge = tokenizer_.find_merge(symbol(at).id, symbol(symbol(at).next).id);
    if (merge != nullptr) candidates_.push({merge->rank, at, merge->merged});
  }

  void apply(const Candidate& candidate) {
    Symbol& left = symbol(candidate.at);
    if (left.id < 0 || left.next < 0) return;
    Symbol& right = symbol(left.next);
    const Learnt* merge = tokenizer_.find_merge(left.id, right.id);
    if (merge == nullptr || merge->merged != candidate.merged) return;  // a neighbour has changed since
    left.id = candidate.merged;
    left.next = right.next;
    right.id = -1;
    if (left.next >= 0) {
      symbol(left.next).previous = candidate.at;
      propose(candidate.at);
    }
    if (left.previous >= 0) propose(left.previous);
  }

  const BpeTokenizer& tokenizer_;
  std::vector<Symbol> symbols_;
  std::priority_queue<Candidate, std::vector<Candidate>, std::greater<>> candidates_;
  std::unordered_map<std::string_view, std::pair<std::ptrdiff_t, std::ptrdiff_t>> cache_;
  std::vector<int32_t> cached_ids_;
};

std::vector<int32_t> BpeTokenizer::encode(std::string_view text) const {
  std::vector<int32_t> ids;
  Encoder encoder(*this);
  const auto append_plain = [&](std::string_view plain) {
    for (size_t start = 0; start < plain.size();) {
      // Without merges words make no difference, so that the cheapest cut will do.
      const size_t end = merges_.empty() ? start + 1 : split_words_ ? word_end(plain, start) : plain.size();
      encoder.append_word(plain.substr(start, end - start), ids);
      start = end;
    }
  };
  size_t plain = 0;
  for (size_t at = 0; at < text.size() && !added_.empty();) {
    const int32_t id = added_token_at(text, at);
    if (id < 0) {
      ++at;
      continue;
    }
    append_plain(text.substr(plain, at - plain));
    ids.push_back(id);
    plain = at += token(id).size();
  }
  append_plain(text.substr(plain));
  return ids;
}

}  // namespace galvan
