// How good a model is on a whole split of text.
#pragma once

#include "models/dataset.h"
#include "models/tokenizer.h"
#include "models/transformer.h"

namespace galvan {

struct Evaluation {
  double loss = 0.0;        // mean cross-entropy of a token, in nats
  double accuracy = 0.0;    // how often the likeliest token is the right one
  double perplexity = 0.0;  // e^loss
  double bits_per_character =
      0.0;  // all the loss, in bits, over the code points of the text: comparable between tokenizers
  int64_t tokens = 0;  // predicted
};

// Every token of `range` but the first is predicted once, each from at most `context` tokens before it, in
// windows that do not overlap (models/dataset.h). `context` 0 is the model's own. Dropout is off and nothing is
// recorded.
Evaluation evaluate(const Transformer& model, const TokenArray& tokens, TokenRange range,
                    const Tokenizer& tokenizer, int64_t batch_size = 16, int64_t context = 0);

}  // namespace galvan
