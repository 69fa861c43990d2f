#include "models/evaluate.h"

#include <cmath>
#include <numbers>

#include "core/autograd.h"

namespace galvan {

Evaluation evaluate(const Transformer& model, const TokenArray& tokens, TokenRange range,
                    const Tokenizer& tokenizer, int64_t batch_size, int64_t context) {
  NoGrad guard;
  const int64_t T = context > 0 ? context : model.config().context;
  const EvaluationBatches batches(tokens, range, batch_size, T);
  std::vector<int32_t> x(static_cast<size_t>(batch_size * T)), y(x.size());
  double loss = 0, correct = 0;
  int64_t characters = 0;
  for (int64_t i = 0; i < batches.batches(); ++i) {
    const auto [rows, length] = batches.read(i, x, y);
    const auto n = static_cast<size_t>(rows * length);
    const Tensor inputs = Tensor::from(std::span<const int32_t>(x.data(), n), {rows, length});
    const Tensor targets = Tensor::from(std::span<const int32_t>(y.data(), n), {rows, length});
    const Tensor logits = model(inputs, false);
    loss += cross_entropy(logits, targets, {.reduction = Reduction::sum}).item();
    correct += sum(eq(argmax(logits, -1), targets).to(DType::f32)).item();
    characters += tokenizer.count_characters({y.data(), n});
  }
  Evaluation result;
  result.tokens = batches.targets();
  result.loss = loss / static_cast<double>(result.tokens);
  result.accuracy = correct / static_cast<double>(result.tokens);
  result.perplexity = std::exp(result.loss);
  result.bits_per_character = characters > 0 ? loss / std::numbers::ln2 / static_cast<double>(characters) : 0;
  return result;
}

}  // namespace galvan
