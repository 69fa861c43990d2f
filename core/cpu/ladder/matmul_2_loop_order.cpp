// Rung 2 of matmul: the same three loops with j innermost, and a row of sums.
// Before   matmul_1_naive.cpp
// Next     matmul_3_cache_blocked.cpp
// Changed  k and j have changed places: op(A)[i, k] is multiplied by a whole row of op(B) and added to a row of sums
// Helps    neighbours in j are neighbours in memory and wait for nobody, so the compiler makes vector code of the
//          loop
// Costs    the row of sums is read and written for every k; all of B comes from outer caches once for every row of A;
//          a transposed B's rows are no rows in memory, and there it is slower than before
// Figure   dx = dy W, 768 x 128 x 512: 11 ms, 9 % of the peak, where rung 1 takes 79; y = x W', 768 x 512 x 128: 97
//          ms, 1.1 %, where it takes 44 (best of 9, f32, on an AMD EPYC (Zen 3), 2026-11-27, one thread, whose peak
//          was 97 GFLOP/s)
#include <vector>

#include "core/cpu/ladder/ladder.h"
#include "core/cpu/ladder/matmul.h"

namespace galvan::ladder {

template <class In, class Out>
void matmul_loop_order(const Gemm<In, Out>& g) {
  const auto a = op_a(g);
  const auto b = op_b(g);
  std::vector<Acc<In>> sums(g.n);
  for (int64_t i = 0; i < g.m; ++i) {
    for (int64_t j = 0; j < g.n; ++j) sums[j] = start_of(g, i, j);
    for (int64_t k = 0; k < g.k; ++k) {
      const Acc<In> factor = a(i, k);
      for (int64_t j = 0; j < g.n; ++j) sums[j] += factor * b(k, j);
    }
    for (int64_t j = 0; j < g.n; ++j) g.c[i * g.ldc + j] = static_cast<Out>(sums[j]);
  }
}

GALVAN_LADDER_MATMUL(matmul_loop_order)

}  // namespace galvan::ladder
