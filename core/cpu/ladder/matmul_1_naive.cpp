// Rung 1 of matmul: three loops, as the formula says it.   C[i, j] = sum_k op(A)[i, k] op(B)[k, j]
// Next     matmul_2_loop_order.cpp
// Costs    every multiply-add waits for the one before, since they all go to one sum; and op(B)'s column is a line of
//          cache for every element, unless B is transposed
// Figure   dx = dy W, 768 x 128 x 512: 79 ms, 1.3 % of the peak; y = x W', 768 x 512 x 128: 44 ms, 2.4 % (best of 9,
//          f32, on an AMD EPYC (Zen 3), 2026-11-27, one thread, whose peak was 97 GFLOP/s)
#include "core/cpu/ladder/ladder.h"
#include "core/cpu/ladder/matmul.h"

namespace galvan::ladder {

template <class In, class Out>
void matmul_naive(const Gemm<In, Out>& g) {
  const auto a = op_a(g);
  const auto b = op_b(g);
  for (int64_t i = 0; i < g.m; ++i) {
    for (int64_t j = 0; j < g.n; ++j) {
      Acc<In> sum = start_of(g, i, j);
      for (int64_t k = 0; k < g.k; ++k) sum += a(i, k) * b(k, j);
      g.c[i * g.ldc + j] = static_cast<Out>(sum);
    }
  }
}

GALVAN_LADDER_MATMUL(matmul_naive)

}  // namespace galvan::ladder
