// Learning merges. Each different word is stored once, with how often it occurs, as a linked list of tokens;
// every pair of neighbours knows where it occurs (perhaps no more: an occurrence is looked at before it is
// merged), so a merge costs what it changes, not the length of the text. A heap gives the most frequent pair;
// a pair whose count has fallen since it was pushed is pushed back with its true count.

#include <algorithm>
#include <limits>
#include <queue>
#include <unordered_map>
#include <utility>

#include "core/check.h"
#include "models/bpe.h"
#include "models/bpe_words.h"
#include "models/tokenizer_json.h"

namespace galvan {
namespace {

using WordCounts = std::unordered_map<std::string_view, int64_t>;

// The text without its special tokens, cut into words.
WordCounts count_words(std::string_view text, const std::vector<std::string>& special_tokens) {
  WordCounts counts;
  while (!text.empty()) {
    size_t plain = text.size(), skip = 0;
    for (const std::string& token : special_tokens) {
      const size_t found = text.find(token);
      if (found < plain || (found == plain && token.size() > skip)) {
        plain = found;
        skip = token.size();
      }
    }
    for (size_t start = 0; start < plain;) {
      const size_t end = word_end(text.substr(0, plain), start);
      ++counts[text.substr(start, end - start)];
      start = end;
    }
    text.remove_prefix(plain + skip);
  }
  return counts;
}

class MergeLearner {
 public:
  MergeLearner(const WordCounts& words, BpeParts& parts) : parts_(parts) {
    for (size_t id = 0; id < parts.tokens.size(); ++id)
      id_of_token_.emplace(parts.tokens[id], static_cast<int32_t>(id));
    size_t bytes = 0;
    for (const auto& [word, count] : words) bytes += word.size();
    check(bytes < static_cast<size_t>(std::numeric_limits<int32_t>::max()),
          "bpe: the different words of the text are ", bytes,
          " bytes long, too many to train on; take a part of it");
    places_.reserve(bytes);
    for (const auto& [word, count] : words) append(word, count);
    for (const auto& [pair, stats] : pairs_) queue_.push({stats.count, pair});
  }

  void learn(int64_t vocab_size, int64_t min_frequency) {
    while (static_cast<int64_t>(parts_.tokens.size()) < vocab_size && !queue_.empty()) {
      const Entry top = queue_.top();
      queue_.pop();
      Stats& stats = pairs_.at(top.pair);
      if (top.count != stats.count) {
        queue_.push({stats.count, top.pair});
      } else if (top.count < std::max<int64_t>(min_frequency, 1)) {
        break;
      } else {
        merge(top.pair, stats);
      }
    }
  }

 private:
  struct Pair {
    int32_t left, right;
    auto operator<=>(const Pair&) const = default;
  };
  struct PairHash {
    size_t operator()(Pair pair) const {
      const uint64_t key = static_cast<uint64_t>(pair.left) << 32 | static_cast<uint32_t>(pair.right);
      return (key * 0x9E3779B97F4A7C15u) ^ (key >> 29);
    }
  };
  struct Stats {
    int64_t count = 0;
    bool learnt = false;
    std::vector<int32_t> places;  // of the left token
  };
  struct Entry {
    int64_t count;
    Pair pair;
    bool operator<(const Entry& other) const {
      return count != other.count ? count < other.count : pair > other.pair;
    }
  };
  struct Place {
    int32_t id;  // -1: merged into the place on its left
    int32_t previous, next;
    int64_t count;  // of its word
  };

  Place& place(int32_t at) { return places_[static_cast<size_t>(at)]; }

  void append(std::string_view word, int64_t count) {
    const int32_t begin = static_cast<int32_t>(places_.size());
    const int32_t end = begin + static_cast<int32_t>(word.size());
    for (int32_t at = begin; at < end; ++at) {
      const int32_t id = id_of_token_.at(std::string(1, word[static_cast<size_t>(at - begin)]));
      places_.push_back({id, at == begin ? -1 : at - 1, at + 1 == end ? -1 : at + 1, count});
      if (at > begin) add({place(at - 1).id, id}, at - 1, count);
    }
  }

  void add(Pair pair, int32_t at, int64_t count) {
    Stats& stats = pairs_[pair];
    stats.count += count;
    stats.places.push_back(at);
  }

  int32_t token_of(const Pair& pair) {
    const std::string bytes =
        parts_.tokens[static_cast<size_t>(pair.left)] + parts_.tokens[static_cast<size_t>(pair.right)];
    const auto [known, is_new] = id_of_token_.emplace(bytes, static_cast<int32_t>(parts_.tokens.size()));
    if (is_new) parts_.tokens.push_back(bytes);  // else "a" + "bc" after "ab" + "c": one token, two merges
    return known->second;
  }

  void merge(Pair pair, Stats& stats) {
    const int32_t merged = token_of(pair);
    // A learnt pair can come back where its left or right token is made a second way.
    if (!std::exchange(stats.learnt, true)) parts_.merges.push_back({pair.left, pair.right, merged});
    std::vector<int32_t> places = std::exchange(stats.places, {});
    std::sort(places.begin(), places.end());  // left to right, which matters in "aaa"

    std::vector<Pair> grown;
    for (int32_t at : places) {
      Place& left = place(at);
      if (left.id != pair.left || left.next < 0 || place(left.next).id != pair.right) continue;
      Place& right = place(left.next);
      const int64_t count = left.count;
      if (left.previous >= 0) {
        const int32_t before = place(left.previous).id;
        pairs_.at({before, pair.left}).count -= count;
        add({before, merged}, left.previous, count);
        grown.push_back({before, merged});
      }
      if (right.next >= 0) {
        const int32_t after = place(right.next).id;
        pairs_.at({pair.right, after}).count -= count;
        add({merged, after}, at, count);
        grown.push_back({merged, after});
        place(right.next).previous = at;
      }
      left.id = merged;
      left.next = right.next;
      right.id = -1;
    }
    stats.count = 0;
    std::sort(grown.begin(), grown.end());
    grown.erase(std::unique(grown.begin(), grown.end()), grown.end());
    for (const Pair& each : grown) queue_.push({pairs_.at(each).count, each});
  }

  BpeParts& parts_;
  std::unordered_map<std::string, int32_t> id_of_token_;
  std::vector<Place> places_;
  std::unordered_map<Pair, Stats, PairHash> pairs_;
  std::priority_queue<Entry> queue_;
};

}  // namespace

std::unique_ptr<BpeTokenizer> BpeTokenizer::train(std::string_view text, const BpeTrainingOptions& options) {
  const int64_t smallest = 256 + static_cast<int64_t>(options.special_tokens.size());
  check(!text.empty(), "bpe: the text is empty");
  check(options.vocab_size >= smallest, "bpe: a vocabulary of ", options.vocab_size, " is smaller than the ",
        smallest, " tokens it begins with");
  check(options.vocab_size <= std::numeric_limits<int32_t>::max(), "bpe: a vocabulary of ",
        options.vocab_size, " is too large");

  BpeParts parts;
  for (const std::string& token : options.special_tokens) {
    check(!token.empty(), "bpe: a special token is empty");
    parts.added.push_back({static_cast<int32_t>(parts.tokens.size()), true});
    parts.tokens.push_back(token);
  }
  for (unsigned char byte : byte_alphabet_order()) parts.tokens.emplace_back(1, static_cast<char>(byte));
  MergeLearner(count_words(text, options.special_tokens), parts)
      .learn(options.vocab_size, options.min_frequency);
  return std::make_unique<BpeTokenizer>(std::move(parts));
}

}  // namespace galvan
