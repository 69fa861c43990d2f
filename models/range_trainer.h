// Steps of training whose learning rate, momentum and weight decay are given one by one, for range tests
// (optim/range_test.h), after which everything is as it was.
//
//   RangeTrainer trainer(model, optimizer, tokens, split.train, {.seed = 1});
//   const RangeCurve curve = range_test(options, [&](double lr) { return trainer.step({.lr = lr}); });
//   trainer.restore();                       // the next test begins where this one began
#pragma once

#include <optional>
#include <vector>

#include "models/batch_reader.h"
#include "models/transformer.h"
#include "optim/optimizer.h"

namespace galvan {

struct RangeTrainerOptions {
  int64_t batch_size = 12;  // B, sequences of one micro-batch
  int64_t accumulate = 1;   // micro-batches of one update
  BatchOrder order = BatchOrder::epoch;
  double clip = 0.0;     // largest global gradient norm; 0: no clipping
  uint64_t seed = 1337;  // of batches and dropout
};

struct RangeStep {
  double lr = 0;
  std::optional<double> momentum = {}, weight_decay = {};  // none: the optimizer's own
};

class RangeTrainer {
 public:
  // Keeps a copy of the weights and of the optimizer's state. Everything must outlive this.
  RangeTrainer(const Transformer& model, Optimizer& optimizer, const TokenArray& tokens, TokenRange train,
               const RangeTrainerOptions& options);

  // As restore(), and the optimizer counts its steps on from where it was.
  ~RangeTrainer();
  RangeTrainer(const RangeTrainer&) = delete;
  RangeTrainer& operator=(const RangeTrainer&) = delete;

  // One update; returns the loss of its batch before it. Nothing changes where loss or gradients are not finite.
  double step(const RangeStep& values);

  // Weights, the optimizer's state and its weight decay become what they were at the beginning, bit for bit, and
  // gradients are cleared. The next step sees the first batch.
  void restore();

 private:
  const Transformer& model_;
  Optimizer& optimizer_;
  RangeTrainerOptions options_;
  BatchSampler sampler_;
  BatchReader batch_;
  std::vector<NamedTensor> weights_, state_;  // copies
  int64_t first_step_;                        // the optimizer's
  double weight_decay_;
};

}  // namespace galvan
