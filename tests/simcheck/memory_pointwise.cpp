#include "core/pointwise.h"
#include "memory_statements.h"

namespace galvan {
namespace {

constexpr int64_t n = 5000, R = 40, C = 128;

template <class T>
constexpr int64_t size = sizeof(T);

template <class T>
Traffic bias_forward(const std::string& what) {
  return {what,
          [](Card& card) {
            bias_unary<GeluTanh, T>(card.on(), {}, card.random<T>(R * C), card.random<T>(C),
                                    card.zeros<T>(R * C), R, C);
          },
          (2 * R * C + C) * size<T>, (2 * R * C + R * C * C * size<T> / 512) * size<T>};
}

Traffic bias_backward() {
  constexpr int64_t kRows = 512, kBlocks = 32, kWarps = 8;
  return {"bias_unary_backward",
          [](Card& card) {
            bias_unary_backward<GeluTanh, float>(card.on(), {}, card.random<float>(kRows * C),
                                                 card.random<float>(C), card.random<float>(kRows * C),
                                                 card.zeros<float>(kRows * C), card.zeros<float>(C),
                                                 card.zeros<float>(kBlocks * C), kRows, C);
          },
          (3 * kRows + 2 * kBlocks) * C * 4, (3 * kRows + kWarps * kBlocks + 2 * kBlocks) * C * 4};
}

}  // namespace

std::vector<Statement> pointwise_statements() {
  return {
      {"copy.cu",
       "numel (sizeof(From) + sizeof(To)) bytes; fill numel sizeof(T)",
       {{"f32 to bf16",
         [](Card& card) {
           strided_copy<float, bfloat16>(card.on(), card.random<float>(n), {1}, card.zeros<bfloat16>(n), {1},
                                         {n});
         },
         n * 6, n * 6},
        {"transposed",
         [](Card& card) {
           strided_copy<float, float>(card.on(), card.random<float>(R * C), {1, R}, card.zeros<float>(R * C),
                                      {C, 1}, {R, C});
         },
         2 * R * C * 4, 2 * R * C * 4},
        {"fill", [](Card& card) { fill<float>(card.on(), card.zeros<float>(n), {1}, {n}, 1.f); }, n * 4,
         n * 4}}},
      {"dropout.cu",
       "2 n sizeof(T) bytes at most, elements that are dropped need not be read; the mask is never in memory",
       {{"dropout f32",
         [](Card& card) {
           dropout<float>(card.on(), {.seed = 1}, 0.001, card.random<float>(n), card.zeros<float>(n), n);
         },
         2 * n * 4, 2 * n * 4},
        {"dropout bf16",
         [](Card& card) {
           dropout<bfloat16>(card.on(), {.seed = 1}, 0.001, card.random<bfloat16>(n), card.zeros<bfloat16>(n),
                             n);
         },
         2 * n * 2, 2 * n * 2}}},
      {"fused.cu",
       "bias_unary 2 R C sizeof(T) bytes forward, 3 backward and sums of dbias for each block of rows; the "
       "bias is asked for by every warp, which forward has 512 bytes of x. silu_mul 3 n sizeof(T) and 5",
       {bias_forward<float>("bias_unary f32"),
        bias_forward<bfloat16>("bias_unary bf16"),
        bias_backward(),
        {"silu_mul_forward",
         [](Card& card) {
           silu_mul_forward<float>(card.on(), card.random<float>(n), card.random<float>(n),
                                   card.zeros<float>(n), n);
         },
         3 * n * 4, 3 * n * 4},
        {"silu_mul_backward",
         [](Card& card) {
           silu_mul_backward<float>(card.on(), card.random<float>(n), card.random<float>(n),
                                    card.random<float>(n), card.zeros<float>(n), card.zeros<float>(n), n);
         },
         5 * n * 4, 5 * n * 4}}},
      {"gemm_gelu_backward.cu",
       "A, B and kept once, C once, and sums for each block of rows. Asked for, from L2: A by every kN "
       "columns, B by every block of rows",
       {{"four blocks of rows, two of columns", [](Card& card) { gelu_product(card, 512, 128, 64); },
         (512 * 64 + 64 * 128 + 2 * 512 * 128) * 2, (512 * 64 * 2 + 64 * 128 * 4 + 2 * 512 * 128) * 2}}},
      {"gemm.cu",
       "cublasLt's own; where C becomes the bias first, batch m n sizeof(T) bytes",
       {{"double, with a bias",
         [](Card& card) {
           gemm<double>(card.on(), {.m = R,
                                    .n = C,
                                    .k = 8,
                                    .a = card.random<double>(R * 8),
                                    .lda = 8,
                                    .b = card.random<double>(8 * C),
                                    .ldb = C,
                                    .c = card.zeros<double>(R * C),
                                    .ldc = C,
                                    .bias = card.random<double>(C)});
         },
         (R * C + C) * 8, 2 * R * C * 8}}},
      {"pointwise_binary.cu",
       "3 numel sizeof(T) bytes, less what a broadcast operand reads again from cache",
       {{"add",
         [](Card& card) {
           binary<Add, float, float>(card.on(), {}, card.random<float>(n), {1}, card.random<float>(n), {1},
                                     card.zeros<float>(n), {n});
         },
         3 * n * 4, 3 * n * 4},
        {"less, a row for all",
         [](Card& card) {
           binary<Less, float, bool>(card.on(), {}, card.random<float>(R * C), {C, 1}, card.random<float>(C),
                                     {0, 1}, reinterpret_cast<bool*>(card.zeros<char>(R * C)), {R, C});
         },
         R * C * 5 + C * 4, R * C * 9}}},
      {"pointwise_unary.cu",
       "2 n sizeof(T) bytes forward, 3 n sizeof(T) backward",
       {{"exp",
         [](Card& card) { unary<Exp, float>(card.on(), {}, card.random<float>(n), card.zeros<float>(n), n); },
         2 * n * 4, 2 * n * 4},
        {"gelu's gradient, bf16",
         [](Card& card) {
           unary_backward<GeluTanh, bfloat16>(card.on(), {}, card.random<bfloat16>(n),
                                              card.random<bfloat16>(n), card.zeros<bfloat16>(n), n);
         },
         3 * n * 2, 3 * n * 2}}},
      {"pointwise_where.cu",
       "where numel (1 + 3 sizeof(T)) bytes, tril numel sizeof(T) and what it keeps of x",
       {{"where",
         [](Card& card) {
           where<float>(card.on(), reinterpret_cast<const bool*>(card.zeros<char>(n)), {1},
                        card.random<float>(n), {1}, card.random<float>(n), {1}, card.zeros<float>(n), {n});
         },
         n * 13, n * 13},
        {"tril that keeps all",
         [](Card& card) {
           tril<float>(card.on(), card.random<float>(R * C), card.zeros<float>(R * C), 1, R, C, C);
         },
         2 * R * C * 4, 2 * R * C * 4},
        {"tril that keeps nothing",
         [](Card& card) {
           tril<float>(card.on(), card.random<float>(R * C), card.zeros<float>(R * C), 1, R, C, -R);
         },
         R * C * 4, R * C * 4}}},
      {"rope.cu",
       "2 B H T D sizeof(T) bytes",
       {{"rope",
         [](Card& card) {
           rope<float>(card.on(),
                       {.B = 2, .H = 3, .T = 9, .D = 64, .position = 0, .theta = 10000, .inverse = false},
                       head_rows<const float>(card.random<float>(2 * 3 * 9 * 64), 9, 3, 64),
                       head_rows(card.zeros<float>(2 * 3 * 9 * 64), 9, 3, 64));
         },
         2 * 2 * 3 * 9 * 64 * 4, 2 * 2 * 3 * 9 * 64 * 4}}},
  };
}

}  // namespace galvan
