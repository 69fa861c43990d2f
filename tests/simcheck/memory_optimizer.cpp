#include "memory_statements.h"

namespace galvan {
namespace {

constexpr int32_t n = 16384;  // one segment of one piece

UpdatePieces one_piece(Card& card) {
  return {card.array<UpdatePiece>({{0, 0, n}}), 1, card.array<int32_t>({1})};
}

template <class T>
void squares(Card& card) {
  squares_of_pieces<T>(card.on(), card.random<T>(n), one_piece(card), card.zeros<double>(1));
}

template <class T, class Rule>
void update(Card& card, const Rule& rule) {
  using M = Acc<T>;
  const auto coefficients = rule.template coefficients<M>(
      {.momentum = 0.9, .beta2 = 0.99}, {.lr = 0.1, .momentum = 0.9, .grad_scale = 1, .updates = 2});
  T* const weight = card.random<T>(n);
  M* master = nullptr;
  if constexpr (std::is_same_v<T, M>) {
    master = weight;
  } else {
    master = card.random<M>(n);
  }
  StepControl control;
  control.applied = 1;
  update_pieces<Rule, T>(
      card.on(), one_piece(card), card.array(std::vector{coefficients}), card.array(std::vector{control}),
      {weight, master, card.random<T>(n), card.random<M>(n), card.array(std::vector<M>(n, M(1)))});
}

template <class T>
void sgd(Card& card) {
  update<T>(card, SgdRule{.dampening = 0, .nesterov = false, .maximize = false, .lr_inside = false});
}
template <class T>
void adam(Card& card) {
  update<T>(card, AdamRule{.eps = 1e-8, .maximize = false, .decoupled = true});
}

}  // namespace

std::vector<Statement> optimizer_statements() {
  return {
      {"optimizer.cu",
       "SGD reads weight, gradient, buffer and writes weight, buffer: 20 bytes an element in f32; Adam 28. "
       "In bf16 the masters take the weights' part, and the weights are read and written on top: 22 and 30. "
       "The squares read the gradients once more",
       {{"SGD", sgd<float>, 20 * n, 20 * n},
        {"SGD, bf16", sgd<bfloat16>, 22 * n, 22 * n},
        {"Adam", adam<float>, 28 * n, 28 * n},
        {"Adam, bf16", adam<bfloat16>, 30 * n, 30 * n},
        {"squares", squares<float>, 4 * n, 4 * n},
        {"squares, bf16", squares<bfloat16>, 2 * n, 2 * n}}},
  };
}

}  // namespace galvan
