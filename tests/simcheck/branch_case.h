// A transformer's branches by the card's kernels (core/branch.h), forward and backward, and its head with the loss
// (core/linear_cross_entropy.h), on random values.
#pragma once

#include "card.h"
#include "core/branch.h"
#include "core/linear_cross_entropy.h"

namespace galvan {

class BranchCase {
 public:
  BranchCase(Card& card, int64_t rows, int64_t columns) : card_(card), rows_(rows), columns_(columns) {}

 protected:
  bfloat16* random(int64_t n) const { return card_.random<bfloat16>(n); }
  bfloat16* zeros(int64_t n) const { return card_.zeros<bfloat16>(n); }

  branch::EndForward end_forward() const {
    const int64_t n = rows_ * columns_;
    return {.bias = random(columns_),
            .residual = random(n),
            .norm_weight = random(columns_),
            .norm_bias = random(columns_),
            .sum = zeros(n),
            .normed = zeros(n),
            .mean = card_.zeros<float>(rows_),
            .rstd = card_.zeros<float>(rows_),
            .eps = 1e-5};
  }
  branch::EndBackward end_backward() const {
    const int64_t n = rows_ * columns_;
    return {.dsum = random(n),
            .dnormed = random(n),
            .s = random(n),
            .norm_weight = random(columns_),
            .mean = card_.random<float>(rows_),
            .rstd = card_.random<float>(rows_),
            .ds = zeros(n)};
  }
  branch::Sums sums(int64_t blocks, int64_t first) const {
    return {.norm_weight = zeros(columns_),
            .norm_bias = zeros(columns_),
            .bias = zeros(columns_),
            .first_bias = zeros(first),
            .partial = card_.zeros<float>(blocks * (3 * columns_ + first))};
  }

  Card& card_;
  const int64_t rows_, columns_;
};

class AttentionBranchCase : BranchCase {
 public:
  AttentionBranchCase(Card& card, int64_t batch, int64_t length, int64_t columns)
      : BranchCase(card, batch * length, columns), batch_(batch), length_(length) {}

  void forward() const {
    const int64_t n = rows_ * columns_, weights = columns_ * columns_;
    branch::attention_forward(card_.on(), {.x = random(n),
                                           .qkv_weight = random(3 * weights),
                                           .qkv_bias = random(3 * columns_),
                                           .out_weight = random(weights),
                                           .qkv = zeros(3 * n),
                                           .y = zeros(n),
                                           .lse = card_.zeros<float>(rows_ * heads()),
                                           .end = end_forward(),
                                           .batch = batch_,
                                           .length = length_,
                                           .heads = heads(),
                                           .columns = columns_});
  }
  void backward() const {
    const int64_t n = rows_ * columns_, weights = columns_ * columns_;
    branch::attention_backward(card_.on(),
                               {.end = end_backward(),
                                .qkv = random(3 * n),
                                .y = random(n),
                                .qkv_weight = random(3 * weights),
                                .out_weight = random(weights),
                                .lse = card_.array(std::vector<float>(size_t(rows_ * heads()), 4)),
                                .dqkv = zeros(3 * n),
                                .dx = zeros(n),
                                .sums = sums(branch::attention_blocks(batch_), 3 * columns_),
                                .batch = batch_,
                                .length = length_,
                                .heads = heads(),
                                .columns = columns_});
  }

 private:
  int64_t heads() const { return columns_ / 32; }
  const int64_t batch_, length_;
};

class MlpBranchCase : BranchCase {
 public:
  MlpBranchCase(Card& card, int64_t rows, int64_t columns, int64_t hidden)
      : BranchCase(card, rows, columns), hidden_(hidden) {}

  void forward() const {
    branch::mlp_forward(card_.on(), {.x = random(rows_ * columns_),
                                     .up_weight = random(hidden_ * columns_),
                                     .up_bias = random(hidden_),
                                     .down_weight = random(hidden_ * columns_),
                                     .z = zeros(rows_ * hidden_),
                                     .end = end_forward(),
                                     .rows = rows_,
                                     .columns = columns_,
                                     .hidden = hidden_});
  }
  void backward() const {
    branch::mlp_backward(card_.on(), {.end = end_backward(),
                                      .z = random(rows_ * hidden_),
                                      .up_weight = random(hidden_ * columns_),
                                      .down_weight = random(hidden_ * columns_),
                                      .h = zeros(rows_ * hidden_),
                                      .dz = zeros(rows_ * hidden_),
                                      .dx = zeros(rows_ * columns_),
                                      .sums = sums(branch::mlp_blocks(rows_), hidden_),
                                      .rows = rows_,
                                      .columns = columns_,
                                      .hidden = hidden_});
  }

 private:
  const int64_t hidden_;
};

inline void class_losses(Card& card, int64_t rows, int64_t columns, int64_t classes) {
  std::vector<int32_t> targets;
  for (int64_t i = 0; i < rows; ++i) targets.push_back(static_cast<int32_t>(i % classes));
  linear_cross_entropy(card.on(), {.rows = {.targets = card.array(targets),
                                            .rows = rows,
                                            .classes = classes,
                                            .ignore_index = -100,
                                            .label_smoothing = 0},
                                   .x = card.random<bfloat16>(rows * columns),
                                   .weight = card.random<bfloat16>(classes * columns),
                                   .upstream = nullptr,
                                   .losses = card.zeros<float>(rows),
                                   .dlogits = card.zeros<bfloat16>(rows * classes),
                                   .dx = card.zeros<bfloat16>(rows * columns),
                                   .columns = columns});
}

}  // namespace galvan
