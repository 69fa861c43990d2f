// The training loop.
//
//   for each epoch
//     for each batch
//       loss = model.loss(tokens, targets)
//       zero_grad;  loss.backward();  optimizer.step(schedule.at(step))
//     evaluate on the validation split
//
// Where a cycle of the schedule ends, the model is evaluated and saved too: that is where its loss is lowest.
//
// A run is a pure function of its options and data: stopped after any step and resumed from its checkpoint it
// goes on bit for bit, in weights and in metrics.jsonl (timings excepted).
#pragma once

#include <atomic>
#include <filesystem>
#include <functional>
#include <limits>
#include <optional>

#include "models/checkpoint.h"
#include "models/evaluate.h"
#include "models/metrics.h"
#include "optim/optimizer.h"
#include "optim/schedule.h"

namespace galvan {

struct TrainerOptions {
  int64_t steps = 0;        // updates in all
  int64_t batch_size = 12;  // B, sequences of one micro-batch
  int64_t accumulate = 1;   // micro-batches of one update
  BatchOrder order = BatchOrder::epoch;
  double clip = 0.0;  // largest global gradient norm; 0: no clipping
  int64_t eval_every =
      500;  // steps between evaluations, besides those at the end of epochs and of the run; 0: only those
  int64_t save_every = 0;  // steps between checkpoints, besides those of new best losses and of the end
  int64_t patience = 0;    // stop after so many evaluations in a row without a new best; 0: never
  bool patience_in_cycles = false;  // ... after so many cycles of the schedule in a row, at a cycle's end
  uint64_t seed = 1337;             // of batches and dropout
  bool replay = true;  // on a card, the step is recorded as one graph and replayed (core/replay.h)
};

// What a run works on. Everything must outlive the trainer.
struct TrainerInputs {
  const Transformer& model;
  Optimizer& optimizer;
  const Schedule& schedule;
  const Tokenizer& tokenizer;
  const TokenArray& tokens;
  Split split;  // an empty validation split means no evaluation
};

struct StepReport {
  int64_t step = 0;   // updates done, this one counted
  int64_t epoch = 0;  // from 1
  double loss = 0, lr = 0, momentum = 0, grad_norm = 0;
  int64_t tokens = 0;  // trained on in this step
  double seconds = 0;  // of several steps that were not waited for one by one, each one's share
};

struct EpochReport {
  int64_t epoch = 0;      // from 1
  double train_loss = 0;  // mean over the epoch's steps
  std::optional<Evaluation> evaluation;
};

// Called as the run goes on, all optional.
struct TrainerEvents {
  std::function<void(const StepReport&)> on_step = {};
  std::function<void(int64_t step, const Evaluation&, bool is_best)> on_evaluation = {};
  std::function<void(const EpochReport&)> on_epoch = {};
  std::function<void(int64_t step, bool is_best)> on_checkpoint = {};
  // At a cycle's end, before its checkpoint: a run that is resumed comes here again, or had come here.
  std::function<void(int64_t step)> on_cycle = {};
};

// The loss or the gradients turned NaN or infinite.
class NonFiniteError : public Error {
  using Error::Error;
};

enum class Ending { finished, stopped, out_of_patience };

class Trainer {
 public:
  // Checks that schedule, optimizer and steps fit together (check_compatible).
  Trainer(const TrainerInputs& inputs, const TrainerOptions& options, TrainerEvents events = {});

  // Goes on from what save_checkpoint left in RUN/current: the weights must have been loaded.
  void resume(const TrainingState& state);

  // Trains until `steps`, writing metrics.jsonl and checkpoints into the folder `run`. Returns early, after
  // saving, when `stop` becomes true. Throws NonFiniteError, the last good weights saved, when a step turns up NaN or
  // infinity: the step is run again to name the first op that made it.
  Ending run(const std::filesystem::path& run, const std::atomic<bool>& stop);

  // run() in parts, for who trains several models together (models/replicas.h): begin(), then advance() until it tells the
  // ending. Each call trains as far as the next step that is watched, with what is due after it.
  void begin(const std::filesystem::path& run);
  std::optional<Ending> advance(const std::atomic<bool>& stop);

  // One update; throws as run() does, but saves nothing. Public for benchmarks.
  StepReport train_step();

  // The kernels of a step, where it has been recorded to be replayed (Replay::operations).
  std::vector<std::string> step_operations() const { return step_replay_.operations(); }

  int64_t step() const { return step_; }
  double best_loss() const { return progress_.best_loss; }
  int64_t best_step() const { return progress_.best_step; }
  int64_t steps_per_epoch() const { return sampler_.steps_for(1); }

 private:
  // What of the loop's state an exact resume needs.
  struct Progress {
    double best_loss = std::numeric_limits<double>::infinity();
    int64_t best_step = -1;
    int64_t without_best = 0;  // evaluations since the best, or cycles
    double epoch_loss = 0;     // summed over the epoch's steps so far
    int64_t epoch_steps = 0;
  };

  Device device() const { return batch_.inputs().device(); }
  Tensor forward_backward(int64_t micro_step);
  void enqueue_step();
  std::vector<StepReport> train_steps(int64_t count);
  int64_t steps_to_pause(int64_t epoch) const;
  [[noreturn]] void explain_non_finite(const StepRecord& record);
  void save(const std::filesystem::path& run, bool is_best);
  void save_now(bool is_best);
  bool is_patient() const { return options_.patience == 0 || progress_.without_best < options_.patience; }
  bool due(int64_t every) const { return every > 0 && step_ % every == 0; }
  bool at_cycle_end() const { return step_ > 0 && inputs_.schedule.cycle_end_after(step_ - 1) == step_; }
  void count_patience(bool is_best, bool at_cycle_end);

  TrainerInputs inputs_;
  TrainerOptions options_;
  TrainerEvents events_;
  BatchSampler sampler_;
  ScheduleTable table_;  // learning rate and momentum of every step, made once
  BatchReader batch_;    // filled anew for each micro-batch
  Replay step_replay_;
  std::optional<Evaluator> evaluator_;  // of the validation split
  std::optional<StepRecord> bad_;       // what a step that was not finite left
  double step_seconds_ = 0;             // of a step, lately
  Progress progress_;
  int64_t step_ = 0;
  bool resumed_ = false;
  std::filesystem::path run_;  // since begin()
  std::optional<MetricsFile> metrics_;
  int64_t saved_ = -1;  // the step of the last checkpoint
};

}  // namespace galvan
