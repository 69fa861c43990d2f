// How good a model is on a whole split of text.
#pragma once

#include <optional>

#include "core/replay.h"
#include "models/batch_reader.h"
#include "models/tokenizer.h"
#include "models/transformer.h"
#include "optim/device_table.h"

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
// recorded for a backward. On a card the batches are one graph that is replayed, unless `replay` is false, and the
// host waits once. Everything must outlive this.
class Evaluator {
 public:
  Evaluator(const Transformer& model, const TokenArray& tokens, TokenRange range, const Tokenizer& tokenizer,
            int64_t batch_size = 16, int64_t context = 0, bool replay = true);

  Evaluation run();

 private:
  void add_batch(const Tensor& inputs, const Tensor& targets) const;

  const Transformer& model_;
  EvaluationBatches batches_;
  int64_t characters_;                 // that the targets stand for
  int64_t whole_ = 0;                  // batches of [B, T]; the others are smaller
  std::optional<BatchReader> reader_;  // of whole batches
  DeviceTable<int64_t> batch_;         // the number of the next whole batch
  Tensor loss_, correct_;              // sums so far, f64, on the device
  Replay replay_;
};

// One evaluation.
Evaluation evaluate(const Transformer& model, const TokenArray& tokens, TokenRange range,
                    const Tokenizer& tokenizer, int64_t batch_size = 16, int64_t context = 0);

}  // namespace galvan
