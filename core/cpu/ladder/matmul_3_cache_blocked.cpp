// Rung 3 of matmul: some columns of op(B) at a time, copied to where they stay in the L2 cache.
// Before   matmul_2_loop_order.cpp
// Next     matmul_4_micro_kernel.simd.cpp
// Changed  C is computed kColumns columns at a time; the panel of op(B) that they need is copied first
// Helps    all rows of A meet a panel that is near: B comes from outer caches once. The copy is dense, so it does not
//          matter any more how B was stored, and bfloat16 is widened once
// Costs    the copy, one m-th of the arithmetic; and A is read once for every panel
// Figure   dx = dy W, 768 x 128 x 512: 2.5 ms, 41 % of the peak, where rung 2 takes 11; y = x W', 768 x 512 x 128:
//          3.5 ms, 29 %, where it takes 97 (best of 9, f32, on an AMD EPYC (Zen 3), 2026-11-27, one thread, whose
//          peak was 97 GFLOP/s)
#include <algorithm>
#include <vector>

#include "core/cpu/ladder/ladder.h"
#include "core/cpu/ladder/matmul.h"

namespace galvan::ladder {
namespace {
constexpr int64_t kColumns = 32;  // 128 bytes of a row in f32: of 2,048 rows 256 KiB
}

template <class In, class Out>
void matmul_cache_blocked(const Gemm<In, Out>& g) {
  const auto a = op_a(g);
  const auto b = op_b(g);
  std::vector<Acc<In>> panel(g.k * kColumns);  // [k, kColumns], zeros beyond C
  for (int64_t first = 0; first < g.n; first += kColumns) {
    const int64_t columns = std::min(kColumns, g.n - first);
    for (int64_t k = 0; k < g.k; ++k)
      for (int64_t j = 0; j < columns; ++j) panel[k * kColumns + j] = b(k, first + j);
    for (int64_t i = 0; i < g.m; ++i) {
      Acc<In> sums[kColumns] = {};
      for (int64_t j = 0; j < columns; ++j) sums[j] = start_of(g, i, first + j);
      for (int64_t k = 0; k < g.k; ++k) {
        const Acc<In> factor = a(i, k);
        for (int64_t j = 0; j < kColumns; ++j) sums[j] += factor * panel[k * kColumns + j];
      }
      for (int64_t j = 0; j < columns; ++j) g.c[i * g.ldc + first + j] = static_cast<Out>(sums[j]);
    }
  }
}

GALVAN_LADDER_MATMUL(matmul_cache_blocked)

}  // namespace galvan::ladder
