#include "branch_case.h"
#include "cuda/branch.h"
#include "memory_statements.h"

namespace galvan {
namespace {

constexpr int64_t B = 2, T = 64, N = B * T, C = 128, H = C / 32, F = 256, V = 65;
constexpr int64_t kNarrow = 2, kWide = 4;  // bytes

}  // namespace

std::vector<Statement> branch_statements() {
  constexpr int64_t kRows = N * C * kNarrow, kHidden = N * F * kNarrow, kStatistics = 2 * N * kWide;
  constexpr int64_t kLse = N * H * kWide, kAttention = 4 * C * C * kNarrow, kMlp = 2 * C * F * kNarrow;
  constexpr int64_t kWarps = 2 * 4;  // of two blocks
  // What a backward leaves to be added up, and what comes of it.
  const auto sums = [](int64_t columns) { return 2 * 2 * columns * kWide + columns * kNarrow; };
  return {
      {"branch_attention_forward.cu",
       "x, residual and the weights once; qkv, y, lse, s and normed once. Asked for, from L2: the weights by "
       "every sequence, biases and the norm's parameters by every warp",
       {{"two sequences", [](Card& card) { AttentionBranchCase(card, B, T, C).forward(); },
         8 * kRows + kAttention + kLse + kStatistics,
         8 * kRows + 2 * kAttention + kLse + kStatistics + kWarps * 6 * C * kNarrow}}},
      {"branch_attention_backward.cu",
       "dsum, dnormed, s, qkv, y, lse and the weights once; ds, dqkv, dx and partial once. Asked for, from "
       "L2: "
       "the weights by every sequence",
       {{"two sequences", [](Card& card) { AttentionBranchCase(card, B, T, C).backward(); },
         12 * kRows + kAttention + kLse + kStatistics + sums(6 * C),
         12 * kRows + 2 * kAttention + kLse + kStatistics + sums(6 * C)}}},
      {"branch_mlp_forward.cu",
       "x, residual and the weights once; s, normed and z once. Asked for, from L2: the weights by every "
       "kRows rows, biases and the norm's parameters by every warp",
       {{"128 rows", [](Card& card) { MlpBranchCase(card, N, C, F).forward(); },
         4 * kRows + kHidden + kMlp + kStatistics,
         4 * kRows + kHidden + 2 * kMlp + kStatistics + kWarps * (3 * C + F) * kNarrow}}},
      {"branch_mlp_backward.cu",
       "dsum, dnormed, s, z and the weights once; ds, h, dz, dx and partial once. Asked for, from L2: the "
       "weights "
       "by every kRows rows",
       {{"128 rows", [](Card& card) { MlpBranchCase(card, N, C, F).backward(); },
         5 * kRows + 3 * kHidden + kMlp + kStatistics + sums(3 * C + F),
         5 * kRows + 3 * kHidden + 2 * kMlp + kStatistics + sums(3 * C + F)}}},
      {"linear_cross_entropy.cu",
       "x, W and targets once; loss, dlogits and dx once. Asked for, from L2: W by every kRows rows",
       {{"128 rows", [](Card& card) { class_losses(card, N, C, V); },
         2 * kRows + V * C * kNarrow + N * V * kNarrow + 2 * N * kWide,
         2 * kRows + 2 * V * C * kNarrow + N * V * kNarrow + 2 * N * kWide}}},
      {"branch_sums.cu",
       "partial once, the sums once",
       {{"of 33 blocks",
         [](Card& card) {
           const branch::Sums sums{.norm_weight = card.zeros<bfloat16>(C),
                                   .norm_bias = card.zeros<bfloat16>(C),
                                   .bias = card.zeros<bfloat16>(C),
                                   .first_bias = card.zeros<bfloat16>(F),
                                   .partial = card.random<float>(33 * (3 * C + F))};
           branch::add_partial_sums(card.on(), sums, 33, C, F);
         },
         (3 * C + F) * (33 * kWide + kNarrow), (3 * C + F) * (33 * kWide + kNarrow)}}},
  };
}

}  // namespace galvan
