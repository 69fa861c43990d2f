#include "models/dataset.h"

#include <algorithm>
#include <cassert>
#include <cmath>

#include "core/check.h"
#include "models/files.h"
#include "models/utf8.h"

namespace galvan {
namespace {

// One row: T tokens from `start` on, and the T tokens one on.
void read_row(const TokenArray& tokens, int64_t start, std::span<int32_t> x, std::span<int32_t> y) {
  tokens.read(start, x);
  tokens.read(start + 1, y);
}

}  // namespace

std::string read_corpus(const std::filesystem::path& path, bool any_bytes) {
  std::string text = read_text_file(path);
  check(!text.empty(), "data: ", path.string(), " is empty");
  if (!any_bytes) {
    const size_t bad = std::min(find_invalid_utf8(text), text.find('\0'));
    check(bad >= text.size(), "data: ", path.string(), " is not UTF-8 text at byte ", bad, ": binary file?");
  }
  return text;
}

Split split_tokens(int64_t n, double validation_fraction) {
  check(validation_fraction >= 0 && validation_fraction < 1, "data: the validation fraction is ",
        validation_fraction, ", must be at least 0 and below 1");
  const int64_t train = static_cast<int64_t>(static_cast<double>(n) * (1 - validation_fraction));
  return {.train = {0, train}, .validation = {train, n}};
}

BatchSampler::BatchSampler(const TokenArray& tokens, TokenRange range, const BatchOptions& options)
    : tokens_(tokens),
      windows_{.begin = range.begin,
               .size = range.size(),
               .context = options.context,
               .batch_size = options.batch_size,
               .micro_steps = options.micro_steps,
               .seed = options.seed,
               .order = options.order} {
  check(options.batch_size > 0 && options.context > 0 && options.micro_steps > 0, "data: batch size ",
        options.batch_size, ", context ", options.context, " and micro-steps ", options.micro_steps,
        " must be positive");
  check(range.size() > options.context, "data: the training split has ", range.size(),
        " tokens, fewer than context + 1 = ", options.context + 1);
}

void BatchSampler::read(int64_t step, int64_t micro_step, std::span<int32_t> x, std::span<int32_t> y) const {
  const size_t T = static_cast<size_t>(windows_.context);
  assert(x.size() == T * static_cast<size_t>(windows_.batch_size) && y.size() == x.size());
  for (int64_t row = 0; row < windows_.batch_size; ++row) {
    const size_t at = static_cast<size_t>(row) * T;
    read_row(tokens_, start(step, micro_step, row), x.subspan(at, T), y.subspan(at, T));
  }
}

int64_t BatchSampler::epochs_after(int64_t steps) const {
  return steps * windows_per_step() / windows_per_epoch();
}

int64_t BatchSampler::steps_for(double epochs) const {
  return static_cast<int64_t>(
      std::ceil(epochs * static_cast<double>(windows_per_epoch()) / static_cast<double>(windows_per_step())));
}

EvaluationBatches::EvaluationBatches(const TokenArray& tokens, TokenRange range, int64_t batch_size,
                                     int64_t context)
    : tokens_(tokens), range_(range), batch_size_(batch_size), context_(context) {
  check(batch_size > 0 && context > 0, "data: batch size ", batch_size, " and context ", context,
        " must be positive");
  check(range.size() >= 2, "data: the validation split has ", range.size(), " tokens, fewer than 2");
}

int64_t EvaluationBatches::batches() const {
  const int64_t windows = targets() / context_;
  return (windows + batch_size_ - 1) / batch_size_ + (targets() % context_ != 0);
}

EvaluationBatches::Shape EvaluationBatches::shape(int64_t batch) const {
  assert(batch >= 0 && batch < batches());
  const int64_t windows = targets() / context_, first = batch * batch_size_;
  if (first < windows) return {std::min(batch_size_, windows - first), context_};
  return {1, targets() % context_};
}

EvaluationBatches::Shape EvaluationBatches::read(int64_t batch, std::span<int32_t> x,
                                                 std::span<int32_t> y) const {
  const Shape s = shape(batch);
  const int64_t window = std::min(batch * batch_size_, targets() / context_);
  const size_t length = static_cast<size_t>(s.length);
  for (int64_t row = 0; row < s.rows; ++row) {
    const size_t at = static_cast<size_t>(row) * length;
    read_row(tokens_, range_.begin + (window + row) * context_, x.subspan(at, length), y.subspan(at, length));
  }
  return s;
}

}  // namespace galvan
