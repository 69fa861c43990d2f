// Text from a model: one token after another, each drawn from the distribution that the ones before it give.
#pragma once

#include <functional>
#include <string>

#include "models/tokenizer.h"
#include "models/transformer.h"

namespace galvan {

struct SampleOptions {
  int64_t tokens = 200;      // at most
  double temperature = 1.0;  // logits are divided by it: below 1 safer, above 1 wilder; 0 is greedy
  int64_t top_k = 0;         // draw among the k likeliest; 0: among all
  double top_p =
      1.0;  // draw among the likeliest that together reach probability p (Holtzman et al., arXiv:1904.09751)
  uint64_t seed = 0;
  std::string stop = {};  // end before this text
};

// Throws "sample: temperature -1 is negative" and the like.
void validate(const SampleOptions& options);

// Continues `prompt` (empty: a line break, or the first token where the vocabulary has none) and returns the
// new text, which is also handed to `on_text` piece by piece as valid UTF-8. Keys and values are cached, so a
// token costs one position's work; when the context is full, its later half is kept and the cache made anew.
// The same seed gives the same text.
std::string generate(const Transformer& model, const Tokenizer& tokenizer, const std::string& prompt,
                     const SampleOptions& options,
                     const std::function<void(const std::string&)>& on_text = {});

}  // namespace galvan
