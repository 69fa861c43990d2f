// Trains a small transformer on a sentence, by SGD under a cyclic learning rate, and lets it say the sentence.
#include <iostream>

#include "core/ops.h"
#include "models/sample.h"
#include "models/tokenizer.h"
#include "models/transformer.h"
#include "optim/schedule.h"
#include "optim/sgd.h"

using namespace galvan;

int main() {
  const std::string text = "She sells sea shells by the sea shore; the shells she sells are sea shells. ";
  const auto tokenizer = CharacterTokenizer::train(text);
  const std::vector<int32_t> ids = tokenizer->encode(text + text);
  const Tensor tokens = Tensor::from(ids, {static_cast<int64_t>(ids.size())});

  const int64_t T = 48;  // what the model sees at once; a window starts at every fifth character
  std::vector<Tensor> windows, nexts;
  for (int64_t begin = 0; begin + T < tokens.size(0); begin += 5) {
    windows.push_back(tokens.slice(0, begin, begin + T));
    nexts.push_back(tokens.slice(0, begin + 1, begin + T + 1));
  }
  const Tensor inputs = stack(windows), targets = stack(nexts);  // [B, T]

  const Transformer model(
      {.vocab = tokenizer->vocab_size(), .context = T, .layers = 2, .heads = 2, .width = 32});
  const Schedule schedule = CyclicLR{.base_lr = 0.01, .max_lr = 0.3, .step_size_up = 100};
  SGD sgd(model.parameters(), {.lr = 0.01, .momentum = 0.9});
  for (int step = 0; step < 400; ++step) {
    const Tensor loss = cross_entropy(model(inputs), targets);
    sgd.zero_grad();
    loss.backward();
    const auto [lr, momentum] = schedule.at(step);
    sgd.step({.lr = lr, .momentum = momentum, .clip_norm = 1.0});
    if (step % 50 == 49) std::cout << "step " << step + 1 << "  loss " << loss.item() << '\n';
  }

  std::cout << "She" << generate(model, *tokenizer, "She", {.tokens = 34, .temperature = 0}) << '\n';
}
