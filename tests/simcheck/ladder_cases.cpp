#include "ladder_cases.h"

#include "attention_case.h"
#include "core/check.h"
#include "memory_statements.h"

namespace galvan {
namespace {

Ladder matmul() {
  constexpr int64_t m = 128, n = 128, k = 64, kSize = 2;
  constexpr int64_t a = m * k * kSize, b = k * n * kSize, c = m * n * kSize, distinct = a + b + c;
  return {
      "matmul",
      "matmul",
      "C [128, 128] = A [128, 64] B [64, 128] in bfloat16",
      [](Card& card) { gemm(card.on(), dense_product<bfloat16>(card, m, n, k)); },
      {{"naive",
        "asked for are A n / 2 times and B m / 16 times, for a warp has 16 rows of 2 columns; distinct A, B "
        "and C once",
        distinct, a * n / 2 + b * m / 16 + c},
       {"coalesced", "asked for are A n / 16 times and B m / 2 times; distinct A, B and C once", distinct,
        a * n / 16 + b * m / 2 + c},
       {"shared_tiles", "asked for are A n / 16 times and B m / 16 times; distinct A, B and C once", distinct,
        a * n / 16 + b * m / 16 + c},
       {"register_tiles", "asked for are A n / 64 times and B m / 64 times; distinct A, B and C once",
        distinct, a * n / 64 + b * m / 64 + c},
       {"vector_loads", "asked for are A n / 64 times and B m / 64 times; distinct A, B and C once", distinct,
        a * n / 64 + b * m / 64 + c},
       {"warp_tiles", "asked for are A n / 64 times and B m / 128 times; distinct A, B and C once", distinct,
        a * n / 64 + b * m / 128 + c},
       {"tensor_cores", "asked for are A n / 64 times and B m / 128 times; distinct A, B and C once",
        distinct, a * n / 64 + b * m / 128 + c},
       {"cublaslt"}}};
}

Ladder softmax() {
  constexpr int64_t R = 32, C = 256, bytes = R * C * 4;
  return {
      "softmax",
      "softmax",
      "32 rows of 256 floats",
      [](Card& card) {
        softmax_forward<float>(card.on(), card.random<float>(R * C), card.zeros<float>(R * C), R, C);
      },
      {{"thread_per_row",
        "2 R C sizeof(T) bytes while the rows fit in L1; asked for are 4, for x is read three times",
        2 * bytes, 4 * bytes},
       {"block_per_row",
        "2 R C sizeof(T) bytes while a row fits in L1; asked for are 4, for x is read three times", 2 * bytes,
        4 * bytes},
       {"warp_per_row"},
       {"online", "2 R C sizeof(T) bytes while a row fits in L1; asked for are 3", 2 * bytes, 3 * bytes}}};
}

Ladder layer_norm() {
  constexpr int64_t R = 16, C = 512, bytes = R * C * 2;
  return {
      "layer_norm",
      "layer_norm",
      "16 rows of 512 in bfloat16, with weight and bias",
      [](Card& card) {
        norm_forward<bfloat16>(card.on(), {.x = card.random<bfloat16>(R * C),
                                           .residual = nullptr,
                                           .weight = card.random<bfloat16>(C),
                                           .bias = card.random<bfloat16>(C),
                                           .sum = nullptr,
                                           .y = card.zeros<bfloat16>(R * C),
                                           .mean = card.zeros<float>(R),
                                           .rstd = card.zeros<float>(R),
                                           .rows = R,
                                           .columns = C,
                                           .eps = 1e-5});
      },
      {{"elements",
        "2 R C sizeof(T) bytes, 4 with a residual; asked for, the rest from L1: 6 R C with weight and bias "
        "(RMS norm 5), 9 with a residual",
        2 * bytes + 2 * C * 2, 6 * bytes},
       {"packs",
        "2 R C sizeof(T) bytes, 4 with a residual; asked for, the rest from L1: 6 R C with weight and bias "
        "(RMS norm 5), 9 with a residual",
        2 * bytes + 2 * C * 2, 6 * bytes},
       {"in_registers"}}};
}

Ladder sum_of_rows() {
  constexpr int64_t R = 8, C = 1024, bytes = R * C * 4;
  return {"sum",
          "sum",
          "8 rows of 1024 floats",
          [](Card& card) {
            sum<float>(card.on(), card.random<float>(R * C), card.zeros<float>(R), R, C, 1, 1.0);
          },
          {{"interleaved", "O L I sizeof(T) bytes", bytes, bytes},
           {"sequential", "O L I sizeof(T) bytes", bytes, bytes},
           {"shuffles", "O L I sizeof(T) bytes", bytes, bytes},
           {"strands"}}};
}

// Each head has keys and values of its own.
constexpr int64_t H = 2, T = 128, D = 32;
constexpr AttentionSizes kAttention{
    .B = 1, .H = H, .G = H, .Tq = T, .Tk = T, .D = D, .causal = false, .scale = 0.2};

Ladder attention() {
  // q, k, v or y; the scores of all heads.
  constexpr int64_t rows = H * T * D * 2, scores = H * T * T * 4, lse = H * T * 4;
  // A warp's 32 threads have one query and 32 keys, or one query and 32 elements.
  constexpr int64_t of_scores = H * T * T / 32 * D * (1 + 32) * 2 + scores;
  constexpr int64_t of_values = H * T * T * (4 + D * 2) + rows;
  return {
      "attention",
      "attention",
      "2 heads of size 32, 128 queries and keys, in bfloat16",
      [](Card& card) { AttentionCase<bfloat16>(card, kAttention).forward(card.on()); },
      {{"three_pass",
        "q, k, v, y and lse once, and four times scores of B H Tq Tk sizeof(Acc<T>) bytes: written, read and "
        "written, read. Asked for are the scores twice more by the softmax; k by every query, q by every 32 "
        "keys; v by every query, and a row of scores by every 32 elements of a head",
        4 * rows + lse + 4 * scores, of_scores + 4 * scores + lse + of_values},
       {"online", "q, k, v, y and lse once; asked for are k and v by every query that sees them",
        4 * rows + lse, 2 * rows + lse + 2 * rows * T},
       {"flash_fma"},
       {"flash"}}};
}

Ladder attention_backward_of() {
  return {"attention_backward",
          "attention",
          "2 heads of size 32, 128 queries and keys, in bfloat16",
          [](Card& card) { AttentionCase<bfloat16>(card, kAttention).backward(card.on()); },
          {{.version = "flash_fma", .file = "cuda/attention_backward.cu"},
           {.version = "flash", .file = "cuda/flash_backward.cu"}}};
}

Ladder adamw() {
  constexpr int64_t kTensors = 6, kSize = 8192, n = kTensors * kSize;
  return {
      "adamw",
      "adamw",
      "6 tensors of 8,192 floats",
      [](Card& card) {
        const AdamRule rule{.eps = 1e-8, .maximize = false, .decoupled = true};
        std::vector<UpdatePiece> pieces;
        for (int i = 0; i < kTensors; ++i) pieces.push_back({i * kSize, i, kSize});
        const std::vector<AdamRule::Coefficients<float>> coefficients(
            kTensors, rule.coefficients<float>({.momentum = 0.9, .beta2 = 0.99},
                                               {.lr = 0.1, .momentum = 0.9, .grad_scale = 1, .updates = 2}));
        StepControl control;
        control.applied = 1;
        float* const weight = card.random<float>(n);
        update_pieces<AdamRule, float>(
            card.on(), {card.array(pieces), kTensors, card.array(std::vector<int32_t>(kTensors, 1))},
            card.array(coefficients), card.array(std::vector{control}),
            {weight, weight, card.random<float>(n), card.random<float>(n),
             card.array(std::vector<float>(n, 1))});
      },
      {{"per_piece", "28 bytes an element in f32, 30 in bf16, as in one launch", 28 * n, 28 * n}, {"flat"}}};
}

}  // namespace

std::string Ladder::file_of(const Rung& rung) const {
  if (!rung.file.empty()) return rung.file;
  for (const Variant& v : variants_of(kernel, "cuda").all())
    if (v.name == rung.version) return std::string(v.file);
  fail(kernel, ": no version '", rung.version, "'");
}

const std::vector<Ladder>& ladders() {
  static const std::vector<Ladder> all = {
      matmul(), softmax(), layer_norm(), sum_of_rows(), attention(), attention_backward_of(), adamw()};
  return all;
}

std::vector<Statement> ladder_statements() {
  std::vector<Statement> all;
  for (const Ladder& ladder : ladders())
    for (const Rung& rung : ladder.rungs)
      if (!rung.memory.empty())
        all.push_back({ladder.file_of(rung).substr(sizeof("cuda/") - 1),
                       rung.memory,
                       {{ladder.shape, ladder.by(rung), rung.distinct, rung.asked}}});
  return all;
}

}  // namespace galvan
