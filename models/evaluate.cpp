#include "models/evaluate.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "core/autograd.h"
#include "core/kernels.h"

namespace galvan {
namespace {

Device device_of(const Transformer& model) { return model.parameters()[0].second.device(); }

int64_t count_characters(const TokenArray& tokens, TokenRange range, const Tokenizer& tokenizer) {
  std::vector<int32_t> piece(1 << 16);
  int64_t characters = 0;
  for (int64_t begin = range.begin; begin < range.end; begin += static_cast<int64_t>(piece.size())) {
    const auto n = static_cast<size_t>(std::min(range.end - begin, static_cast<int64_t>(piece.size())));
    tokens.read(begin, std::span(piece.data(), n));
    characters += tokenizer.count_characters({piece.data(), n});
  }
  return characters;
}

Tensor zero_sum(Device device) { return Tensor::zeros({}, {.dtype = DType::f64, .device = device}); }

}  // namespace

Evaluator::Evaluator(const Transformer& model, const TokenArray& tokens, TokenRange range,
                     const Tokenizer& tokenizer, int64_t batch_size, int64_t context, bool replay)
    : model_(model),
      batches_(tokens, range, batch_size, context > 0 ? context : model.config().context),
      characters_(count_characters(tokens, {range.begin + 1, range.end}, tokenizer)),
      batch_({0}, device_of(model)),
      loss_(zero_sum(device_of(model))),
      correct_(zero_sum(device_of(model))),
      replay_(device_of(model), replay) {
  check(tokens.vocab_size() <= model.config().vocab, "evaluate: the text has ", tokens.vocab_size(),
        " kinds of token, the model knows ", model.config().vocab);
  const BatchWindows windows{.begin = range.begin,
                             .size = range.size(),
                             .context = context > 0 ? context : model.config().context,
                             .batch_size = batch_size,
                             .order = BatchOrder::in_turn};
  whole_ = batches_.targets() / (windows.batch_size * windows.context);
  if (whole_ > 0) reader_.emplace(tokens, windows, device_of(model));
}

void Evaluator::add_batch(const Tensor& inputs, const Tensor& targets) const {
  const Tensor logits = model_(inputs, false);
  const Tensor loss = cross_entropy(logits, targets, {.reduction = Reduction::sum});
  loss_.copy_(loss_ + loss.to(DType::f64));
  const Tensor correct = sum(eq(argmax(logits, -1), targets).to(DType::f32));
  correct_.copy_(correct_ + correct.to(DType::f64));
}

Evaluation Evaluator::run() {
  const NoGrad guard;
  const TrustedIndices trusted;  // a TokenArray has searched them
  loss_.zero_();
  correct_.zero_();
  batch_.host()[0] = 0;
  batch_.to_device();
  const auto next_batch = [&] {
    reader_->read(batch_.data(), 0);
    add_batch(reader_->inputs(), reader_->targets());
    dispatch<"index">(reader_->inputs(), [&]<class>(auto on) { count_up(on, batch_.data()); });
  };
  replay_.run(next_batch, whole_);
  const auto [most_rows, most_length] = batches_.shape(0);
  std::vector<int32_t> x(static_cast<size_t>(most_rows * most_length)), y(x.size());
  for (int64_t i = whole_; i < batches_.batches(); ++i) {
    const EvaluationBatches::Shape shape = batches_.read(i, x, y);
    const auto on_device = [&](const std::vector<int32_t>& values) {
      const auto n = static_cast<size_t>(shape.rows * shape.length);
      return Tensor::from(std::span(values.data(), n), {shape.rows, shape.length},
                          {.dtype = DType::i32, .device = loss_.device()});
    };
    add_batch(on_device(x), on_device(y));
  }

  Evaluation result;
  result.tokens = batches_.targets();
  const double loss = loss_.item(), n = static_cast<double>(result.tokens);
  result.loss = loss / n;
  result.accuracy = correct_.item() / n;
  result.perplexity = std::exp(result.loss);
  if (characters_ > 0)
    result.bits_per_character = loss / std::numbers::ln2 / static_cast<double>(characters_);
  return result;
}

Evaluation evaluate(const Transformer& model, const TokenArray& tokens, TokenRange range,
                    const Tokenizer& tokenizer, int64_t batch_size, int64_t context) {
  return Evaluator(model, tokens, range, tokenizer, batch_size, context).run();
}

}  // namespace galvan
