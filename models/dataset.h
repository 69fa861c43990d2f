// From tokens to batches: the split into training and validation, the order of training, the walk of
// evaluation.
//
//   const std::string text = read_corpus("input.txt");
//   const TokenArray tokens(tokenizer->encode(text), tokenizer->vocab_size());
//   const Split split = split_tokens(tokens.size(), 0.1);
//   BatchSampler sampler(tokens, split.train, {.batch_size = 12, .context = 64, .seed = 1337});
//   sampler.read(step, 0, x, y);               // x, y: [12, 64]; y[b, t] is the token after x[b, t]
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>

#include "core/batch_windows.h"
#include "models/token_file.h"

namespace galvan {

// The text of a file. Missing or empty is an Error; so is, unless any_bytes, what is not UTF-8 or has a zero
// byte.
std::string read_corpus(const std::filesystem::path& path, bool any_bytes = false);

struct TokenRange {
  int64_t begin = 0, end = 0;
  int64_t size() const { return end - begin; }
};

struct Split {
  TokenRange train, validation;
};

// The last `validation_fraction` of the tokens, in [0, 1), are for validation: training has floor(n (1 -
// fraction)).
Split split_tokens(int64_t n, double validation_fraction = 0.1);

struct BatchOptions {
  int64_t batch_size = 12;  // B, rows of one micro-step
  int64_t context = 64;     // T, tokens of a row
  int64_t micro_steps = 1;  // batches of one step (gradient accumulation)
  uint64_t seed = 0;
  BatchOrder order = BatchOrder::epoch;
};

// Which windows of the training split a step sees: a pure function of (seed, step), so that training resumes
// from the step alone, and any step is found in constant time.
//
// An epoch is W = max(1, floor((n - T) / T)) windows of T tokens (and the one after) that don't overlap.
// Where the first one begins is drawn for each epoch, so that text is cut at other places each time; the up
// to 2 T tokens left over are others each time too. The windows are shuffled by a random permutation of 0 ..
// W-1: a Feistel network with cycle walking (Black and Rogaway, "Ciphers with Arbitrary Finite Domains",
// 2002). Epochs follow each other without a gap, so a step may end one and begin the next. With B rows and m
// micro-steps, or m B rows and one, a step sees the same.
class BatchSampler {
 public:
  // Throws Error when the range is shorter than T + 1. The tokens must outlive the sampler.
  BatchSampler(const TokenArray& tokens, TokenRange range, const BatchOptions& options);

  // x and y are [B, T]; y is x one token on. 0 <= micro_step < micro_steps.
  void read(int64_t step, int64_t micro_step, std::span<int32_t> x, std::span<int32_t> y) const;

  // The token at which row `row` of that batch begins, counted in the token array.
  int64_t start(int64_t step, int64_t micro_step, int64_t row) const {
    return windows_.start(step, micro_step, row);
  }

  // What a card needs to know to read the same batches by itself.
  const BatchWindows& windows() const { return windows_; }
  int64_t windows_per_epoch() const { return windows_.windows(); }  // W
  int64_t windows_per_step() const { return windows_.windows_per_step(); }

  // An epoch ends with the step that has its last window. With random order, the same count of windows.
  int64_t epochs_after(int64_t steps) const;  // complete ones: floor(steps m B / W)
  int64_t steps_for(double epochs) const;     // the fewest steps with that many: ceil(epochs W / (m B))

 private:
  const TokenArray& tokens_;
  BatchWindows windows_;
};

// A whole split in order, every token but the first a target exactly once: windows of T tokens that don't
// overlap, `batch_size` in a batch. What is left of full windows at the end is a batch of one shorter row.
//
//   for (int64_t i = 0; i < evaluation.batches(); ++i) {
//     const auto [rows, length] = evaluation.read(i, x, y);  // its mean loss weighs rows * length
//     ...
//   }
class EvaluationBatches {
 public:
  struct Shape {
    int64_t rows, length;
  };

  // Throws Error when the range has no target, that is fewer than 2 tokens. The tokens must outlive this.
  EvaluationBatches(const TokenArray& tokens, TokenRange range, int64_t batch_size, int64_t context);

  int64_t batches() const;
  int64_t targets() const { return range_.size() - 1; }

  Shape shape(int64_t batch) const;

  // Fills x and y, room for [B, T], with [rows, length] tokens from their beginning on.
  Shape read(int64_t batch, std::span<int32_t> x, std::span<int32_t> y) const;

 private:
  const TokenArray& tokens_;
  TokenRange range_;
  int64_t batch_size_, context_;
};

}  // namespace galvan
