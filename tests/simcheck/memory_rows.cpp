#include "cuda/runtime/cycles.h"
#include "cuda/runtime/recorder.h"
#include "memory_statements.h"

namespace galvan {
namespace {

constexpr int64_t R = 12, C = 1024, RC = R * C;

using Forward = void (*)(Cuda, const float*, float*, int64_t, int64_t);
using Backward = void (*)(Cuda, const float*, const float*, float*, int64_t, int64_t);

Traffic softmax(const std::string& what, Forward kernel, int64_t distinct, int64_t asked) {
  return {what, [=](Card& card) { kernel(card.on(), card.random<float>(RC), card.zeros<float>(RC), R, C); },
          distinct * RC * 4, asked * RC * 4};
}
Traffic softmax(const std::string& what, Backward kernel, int64_t distinct, int64_t asked) {
  return {what,
          [=](Card& card) {
            kernel(card.on(), card.random<float>(RC), card.random<float>(RC), card.zeros<float>(RC), R, C);
          },
          distinct * RC * 4, asked * RC * 4};
}

Traffic norm_forward_of(const std::string& what, int64_t columns, bool layer, bool residual, int64_t distinct,
                        int64_t asked) {
  return {what,
          [=](Card& card) {
            norm_forward<float>(card.on(), {.x = card.random<float>(R * columns),
                                            .residual = residual ? card.random<float>(R * columns) : nullptr,
                                            .weight = card.random<float>(columns),
                                            .bias = card.random<float>(columns),
                                            .sum = residual ? card.zeros<float>(R * columns) : nullptr,
                                            .y = card.zeros<float>(R * columns),
                                            .mean = layer ? card.zeros<float>(R) : nullptr,
                                            .rstd = card.zeros<float>(R),
                                            .rows = R,
                                            .columns = columns,
                                            .eps = 1e-5});
          },
          (distinct * R + 2) * columns * 4, asked * R * columns * 4};
}

// dx alone; or the gradients of weight and bias alone, whose partial sums are of one block of rows.
Traffic norm_backward_of(const std::string& what, int64_t columns, bool dsum, bool weights, int64_t distinct,
                         int64_t asked) {
  return {what,
          [=](Card& card) {
            norm_backward<float>(card.on(), {.dsum = dsum ? card.random<float>(R * columns) : nullptr,
                                             .dy = card.random<float>(R * columns),
                                             .s = card.random<float>(R * columns),
                                             .weight = card.random<float>(columns),
                                             .mean = card.random<float>(R),
                                             .rstd = card.random<float>(R),
                                             .dx = weights ? nullptr : card.zeros<float>(R * columns),
                                             .dweight = weights ? card.zeros<float>(columns) : nullptr,
                                             .dbias = weights ? card.zeros<float>(columns) : nullptr,
                                             .partial = card.zeros<float>(2 * columns),
                                             .rows = R,
                                             .columns = columns});
          },
          distinct * columns * 4, asked * columns * 4};
}

// All of them in one launch, of one block, which writes its partial sums and reads them again.
Traffic norm_backward_at_once() {
  constexpr int64_t kColumns = 512;
  return {"all gradients of few columns",
          [](Card& card) {
            norm_backward<float>(card.on(), {.dsum = nullptr,
                                             .dy = card.random<float>(R * kColumns),
                                             .s = card.random<float>(R * kColumns),
                                             .weight = card.random<float>(kColumns),
                                             .mean = card.random<float>(R),
                                             .rstd = card.random<float>(R),
                                             .dx = card.zeros<float>(R * kColumns),
                                             .dweight = card.zeros<float>(kColumns),
                                             .dbias = card.zeros<float>(kColumns),
                                             .partial = card.zeros<float>(2 * kColumns),
                                             .rows = R,
                                             .columns = kColumns});
          },
          (3 * R + 1 + 2 * 2) * kColumns * 4, (3 * R + 8 + 2 * 3) * kColumns * 4};  // weight by 8 warps
}

template <class T>
Traffic cross_entropy_forward_of(const std::string& what, double smoothing, int64_t asked) {
  constexpr int64_t V = 4096;
  return {what,
          [=](Card& card) {
            cross_entropy_forward<T>(card.on(), {card.array<int32_t>({1, 2, 3}), 3, V, -100, smoothing},
                                     card.random<T>(3 * V), card.zeros<Acc<T>>(3), card.zeros<Acc<T>>(3));
          },
          3 * V * static_cast<int64_t>(sizeof(T)), asked * 3 * V * static_cast<int64_t>(sizeof(T))};
}

// In place.
Traffic cross_entropy_both_of(const std::string& what, int64_t V, double smoothing, int64_t asked) {
  return {what,
          [=](Card& card) {
            const std::vector<int32_t> targets(4096 / static_cast<size_t>(V) + 3, 3);
            const auto rows = static_cast<int64_t>(targets.size());
            float* const logits = card.random<float>(rows * V);
            cross_entropy_both<float>(card.on(), {card.array(targets), rows, V, -100, smoothing}, logits,
                                      card.random<float>(1), card.zeros<float>(rows), logits);
          },
          2 * (4096 / V + 3) * V * 4, asked * (4096 / V + 3) * V * 4};
}

std::vector<int32_t> every(int64_t rows, int64_t picks) {
  std::vector<int32_t> index;
  for (int64_t j = 0; j < picks; ++j) index.push_back(static_cast<int32_t>(j * 7 % rows));
  return index;
}

Traffic select_backward(const std::string& what, int64_t rows, int64_t picks, int64_t inner,
                        int64_t index_readings) {
  return {what,
          [=](Card& card) {
            select_rows_backward<float>(card.on(), card.random<float>(picks * inner),
                                        card.array(every(rows, picks)), card.zeros<float>(rows * inner), 1,
                                        rows, picks, inner, false);
          },
          (picks * inner + rows * inner + picks) * 4,
          (picks * inner + rows * inner + index_readings * picks) * 4};
}

Traffic sampling(const std::string& what, const SamplingRule& rule, int64_t asked) {
  return {
      what,
      [=](Card& card) { sample<float>(card.on(), rule, card.random<float>(C), C, card.zeros<int32_t>(1)); },
      C * 4, asked * C * 4};
}

template <auto kKernel>
Traffic reduction(const std::string& what, int64_t O, int64_t L, int64_t I, int64_t distinct, int64_t asked) {
  return {what,
          [=](Card& card) {
            const float* const x = card.random<float>(O * L * I);
            kKernel(card, x, O, L, I);
          },
          (distinct * O * L * I + O * I) * 4, (asked * O * L * I + O * I) * 4};
}

constexpr auto kSum = [](Card& card, const float* x, int64_t O, int64_t L, int64_t I) {
  sum<float>(card.on(), x, card.zeros<float>(O * I), O, L, I, 1.0);
};
constexpr auto kMaxBackward = [](Card& card, const float* x, int64_t O, int64_t L, int64_t I) {
  max_backward<float>(card.on(), x, card.random<float>(O * I), card.random<float>(O * I),
                      card.zeros<float>(O * L * I), O, L, I);
};
constexpr auto kArgmax = [](Card& card, const float* x, int64_t O, int64_t L, int64_t) {
  argmax<float>(card.on(), x, card.zeros<int32_t>(O), O, L);
};
constexpr auto kVariance = [](Card& card, const float* x, int64_t O, int64_t L, int64_t) {
  variance<float>(card.on(), x, card.zeros<float>(O), O, L, 1);
};

Traffic replicas_sum(const std::string& what) {
  constexpr int64_t kRows = 200, kColumns = 136;
  return {what,
          [](Card& card) {
            const AsReplica as_replica;
            sum<float>(card.on(), card.random<float>(kRows * kColumns), card.zeros<float>(kColumns), 1, kRows,
                       kColumns, 1.0);
          },
          (kRows + 1) * kColumns * 4, (kRows + 1) * kColumns * 4};
}

}  // namespace

std::vector<Statement> row_statements() {
  const int64_t n = 30 * 128, V = 4096;
  return {
      {"batch.cu",
       "B (T + 1) 4 bytes read, asked for twice; 2 B T 4 written",
       {{"read_batch",
         [](Card& card) {
           const BatchWindows windows{
               .begin = 0, .size = 2000, .context = 256, .batch_size = 3, .order = BatchOrder::in_turn};
           read_batch(card.on(), windows, card.zeros<int64_t>(1), 0, card.zeros<int32_t>(2000),
                      card.zeros<int32_t>(3 * 256), card.zeros<int32_t>(3 * 256));
         },
         (3 * 257 + 2 * 3 * 256) * 4, (2 * 3 * 257 + 2 * 3 * 256) * 4},
        {"count_up", [](Card& card) { count_up(card.on(), card.zeros<int64_t>(1)); }, 16, 16}}},
      {"softmax.cu",
       "2 R C sizeof(T) bytes forward, 3 backward, while a row fits in L1; asked for are 4 forward (x is "
       "read three times) and 5 backward, 4 of log-softmax",
       {softmax("softmax", Forward(softmax_forward<float>), 2, 4),
        softmax("its gradient", Backward(softmax_backward<float>), 3, 5),
        softmax("log_softmax", Forward(log_softmax_forward<float>), 2, 4),
        softmax("log_softmax's gradient", Backward(log_softmax_backward<float>), 3, 4)}},
      {"norm_forward.cu",
       "2 R C sizeof(T) bytes, 4 with a residual; asked for, the rest from L1: 4 R C with weight and bias, 6 "
       "with a residual; of rows longer than kMostInRegisters 6 and 9",
       {norm_forward_of("layer norm", C, true, false, 2, 4),
        norm_forward_of("with a residual", C, true, true, 4, 6),
        norm_forward_of("RMS norm", C, false, false, 2, 4),
        norm_forward_of("long rows", 2 * C, true, false, 2, 6),
        norm_forward_of("long rows with a residual", 2 * C, true, true, 4, 9)}},
      {"norm_backward.cu",
       "3 R C sizeof(T) bytes, 4 with dsum, and 2 more for dweight and dbias, but where one launch makes "
       "all. "
       "Asked for, the rest from L1: dx 4 R C, 5 with dsum, of rows longer than kMostInRegisters 7 and 8; "
       "dweight and dbias 2. Where one launch makes all: 3, 4 with dsum, and weight once for every warp",
       {norm_backward_of("dx", C, false, false, 3 * R + 1, 4 * R),
        norm_backward_of("dx with dsum", C, true, false, 4 * R + 1, 5 * R),
        norm_backward_of("dx of long rows", 2 * C, false, false, 3 * R + 1, 7 * R),
        norm_backward_of("dx of long rows with dsum", 2 * C, true, false, 4 * R + 1, 8 * R),
        norm_backward_of("dweight and dbias", C, false, true, 2 * R + 2 * 3, 2 * R + 2 * 3),
        norm_backward_at_once()}},
      {"cross_entropy.cu",
       "R V sizeof(T) bytes forward, 2 backward, 2 for both at once; asked for are 1, 3 and 3, and one more "
       "with smoothing forward or at once, a row's later readings from L2; at once, of up to "
       "kMostInRegisters "
       "classes, 2. The total: R (sizeof(A) + 4); the weight: 4 R",
       {cross_entropy_forward_of<float>("forward", 0, 1),
        cross_entropy_forward_of<bfloat16>("forward, bf16", 0, 1),
        cross_entropy_forward_of<float>("forward, smoothing", 0.1, 2),
        {"backward",
         [=](Card& card) {
           cross_entropy_backward<float>(card.on(), {card.array<int32_t>({1, 2, 3}), 3, V, -100, 0},
                                         card.random<float>(3 * V), card.zeros<float>(3),
                                         card.random<float>(3), card.zeros<float>(3 * V));
         },
         2 * 3 * V * 4, 3 * 3 * V * 4},
        cross_entropy_both_of("both", 4096, 0, 3),
        cross_entropy_both_of("both, smoothing", 4096, 0.1, 4),
        cross_entropy_both_of("both, in registers", 128, 0.1, 2),
        {"total",
         [](Card& card) {
           cross_entropy_total<float>(card.on(), {card.zeros<int32_t>(3000), 3000, 7, -100, 0},
                                      card.random<float>(3000), true, card.zeros<float>(1));
         },
         3000 * 8, 3000 * 8},
        {"weight",
         [](Card& card) {
           cross_entropy_weight<float>(card.on(), {card.zeros<int32_t>(3000), 3000, 7, -100, 0},
                                       card.zeros<float>(1));
         },
         3000 * 4, 3000 * 4}}},
      {"index.cu",
       "embed B T C sizeof(T) bytes and the rows that it picks, 3 B T C asked for. select_rows 2 outer picks "
       "inner sizeof(T) bytes; its backward reads dy and writes dx once (adds to it: twice), and reads the "
       "index, from L2, once for every 512 bytes of a row's sums and every row, or 16 rows of a long table "
       "or a "
       "replica's; of rows shorter than a warp once for every warp of their elements. "
       "gather n (2 sizeof(T) + 4) bytes, its backward n (3 sizeof(T) + 4); find_bad_index 4 n",
       {{"embed",
         [=](Card& card) {
           embed<float>(card.on(), card.random<float>(n), card.random<float>(10 * 128),
                        card.array(every(30, 30)), card.zeros<float>(n), 3, 10, 128);
         },
         (2 * n + 10 * 128) * 4, 3 * n * 4},
        {"select_rows",
         [=](Card& card) {
           select_rows<float>(card.on(), card.random<float>(n), card.array(every(30, 30)),
                              card.zeros<float>(n), 1, 30, 30, 128);
         },
         2 * n * 4, 2 * n * 4},
        select_backward("select_rows_backward", 30, 200, 256, 30 * 2),
        select_backward("of a long table", 1040, 200, 32, 1040 / 16),
        select_backward("of short rows", 40, 200, 16, 40 * 16 / 32),
        {"gather",
         [=](Card& card) {
           gather<float>(card.on(), card.random<float>(n), {1}, card.array(every(n, n)), card.zeros<float>(n),
                         {n}, 0);
         },
         3 * n * 4, 3 * n * 4},
        {"gather_backward",
         [=](Card& card) {
           gather_backward<float>(card.on(), card.random<float>(n), card.zeros<int32_t>(n),
                                  card.zeros<float>(n), {0, 1}, {1, n}, 0);
         },
         4 * n * 4, 4 * n * 4},
        {"find_bad_index", [=](Card& card) { find_bad_index(card.on(), card.zeros<int32_t>(n), n, 3, -100); },
         n * 4, n * 4}}},
      {"clock.cu", "none", {{"waiting", [](Card& card) { wait_cycles(card.on().stream, 1000); }, 0, 0}}},
      {"sample.cu",
       "V sizeof(T) bytes; asked for, out of the cache, are 3 V, for top-k once a bit of a logit and twice "
       "more, for top-p up to twice that",
       {sampling("from all", {}, 3), sampling("top-k", {.top_k = 10}, 3 + 34)}},
      {"reduce.cu",
       "O L I sizeof(T) bytes, max_backward 2; asked for, from cache the second time: x twice by "
       "max_backward, argmax and variance",
       {reduction<kSum>("sum of rows", 3, 2000, 1, 1, 1), reduction<kSum>("sum of columns", 1, 100, 65, 1, 1),
        reduction<kSum>("sum of few rows", 1, 60, 1024, 1, 1), replicas_sum("sum of a replica's rows"),
        reduction<kMaxBackward>("max_backward", 3, 2000, 1, 2, 3),
        reduction<kArgmax>("argmax", 3, 2000, 1, 1, 2), reduction<kVariance>("variance", 3, 2000, 1, 1, 2)}},
  };
}

}  // namespace galvan
