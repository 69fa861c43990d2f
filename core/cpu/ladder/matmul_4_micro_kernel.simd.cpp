// Rung 4 of matmul: a tile of C in the registers.
// Before   matmul_3_cache_blocked.cpp
// Next     core/cpu/gemm_packed.cpp, which training uses: k is cut so that a tile's rows of A stay in the L1 cache,
//          what comes next is fetched ahead, A is packed where it pays, and threads share the work (docs/matmul.md)
// Changed  kRows rows at a time, by vectors (core/cpu/simd/vec.h); their sums are in registers through the whole of k
// Helps    a row of the panel that has been loaded serves kRows rows of C, and no sum is loaded or stored between two
//          k
// Costs    the last rows of C go one by one; of a long k, a tile's rows of A come from L2 or beyond for every panel,
//          and a transposed A in runs of kRows elements
// Figure   dx = dy W, 768 x 128 x 512: 1.23 ms, 84 % of the peak, where rung 3 takes 2.5, training's 1.12 and 93 %; y
//          = x W', 768 x 512 x 128: 1.66 ms, 63 %, where rung 3 takes 3.5, training's 1.19 and 88 % (best of 9, f32,
//          on an AMD EPYC (Zen 3), 2026-11-27, one thread, whose peak was 97 GFLOP/s)
#include "core/cpu/ladder/ladder.h"
#include "core/cpu/simd/vec.h"

namespace galvan {
namespace GALVAN_ISA {
namespace {

// A tile is 2 vectors wide, and as high as the registers allow (core/cpu/gemm_kernels.simd.cpp counts them).
constexpr int kRows = kIsa == Isa::avx512 ? 12 : kIsa == Isa::avx2 ? 6 : 4;
template <class A>
constexpr int64_t kColumns = 2 * kLanes<A>;

template <class A>
A widened(A x) {
  return x;
}
float widened(bfloat16 x) { return __builtin_bit_cast(float, static_cast<uint32_t>(x.bits) << 16); }

// sums[r, 0..kColumns) += sum_k a[r, k] panel[k, 0..kColumns), 0 <= r < R, `a` being the tile's first element of op(A).
template <int R, class In, class A>
void tile(int64_t depth, const In* a, int64_t to_row, int64_t to_column, const A* panel, A* sums) {
  Vec<A> sum[R][2];
#pragma GCC unroll 12
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 2
    for (int v = 0; v < 2; ++v) sum[r][v] = load(sums + r * kColumns<A> + v * kLanes<A>);
  for (int64_t k = 0; k < depth; ++k, a += to_column, panel += kColumns<A>) {
    const Vec<A> b[2] = {load(panel), load(panel + kLanes<A>)};
#pragma GCC unroll 12
    for (int r = 0; r < R; ++r) {
      const Vec<A> factor = broadcast(widened(a[r * to_row]));
#pragma GCC unroll 2
      for (int v = 0; v < 2; ++v) sum[r][v] = fma(factor, b[v], sum[r][v]);
    }
  }
#pragma GCC unroll 12
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 2
    for (int v = 0; v < 2; ++v) store(sums + r * kColumns<A> + v * kLanes<A>, sum[r][v]);
}

// Stores n sums, rounded where Out is narrower.
template <class A, class Out>
void store_row(const A* sums, int64_t n, Out* c) {
  for (int64_t j = 0; j < n; j += kLanes<A>) {
    const int64_t left = n - j;
    store_n_as(c + j, load(sums + j), static_cast<int>(left < kLanes<A> ? left : kLanes<A>));
  }
}

// What the sum of C[i, j] begins with.
template <class In, class Out>
Acc<In> start_of(const Gemm<In, Out>& g, int64_t i, int64_t j) {
  return (g.bias ? widened(g.bias[j]) : Acc<In>(0)) +
         (g.accumulate ? widened(g.c[i * g.ldc + j]) : Acc<In>(0));
}

template <class In, class Out>
void micro_kernel(const Gemm<In, Out>& g, Acc<In>* panel) {
  using A = Acc<In>;
  const int64_t a_row = g.transpose_a ? 1 : g.lda, a_column = g.transpose_a ? g.lda : 1;
  const int64_t b_row = g.transpose_b ? 1 : g.ldb, b_column = g.transpose_b ? g.ldb : 1;
  for (int64_t first = 0; first < g.n; first += kColumns<A>) {
    const int64_t columns = g.n - first < kColumns<A> ? g.n - first : kColumns<A>;
    for (int64_t k = 0; k < g.k; ++k)
      for (int64_t j = 0; j < kColumns<A>; ++j)
        panel[k * kColumns<A> + j] = j < columns ? widened(g.b[k * b_row + (first + j) * b_column]) : A(0);
    for (int64_t i = 0; i < g.m;) {
      const int rows = g.m - i < kRows ? 1 : kRows;
      A sums[kRows * kColumns<A>] = {};
      for (int64_t r = 0; r < rows; ++r)
        for (int64_t j = 0; j < columns; ++j) sums[r * kColumns<A> + j] = start_of(g, i + r, first + j);
      const In* a = g.a + i * a_row;
      rows == 1 ? tile<1>(g.k, a, a_row, a_column, panel, sums)
                : tile<kRows>(g.k, a, a_row, a_column, panel, sums);
      for (int64_t r = 0; r < rows; ++r)
        store_row(sums + r * kColumns<A>, columns, g.c + (i + r) * g.ldc + first);
      i += rows;
    }
  }
}

}  // namespace
}  // namespace GALVAN_ISA

namespace ladder {

template <Isa, class In, class Out>
void matmul_micro_kernel(const Gemm<In, Out>& product, Acc<In>* panel) {
  GALVAN_ISA::micro_kernel(product, panel);
}
template void matmul_micro_kernel<Isa::GALVAN_ISA>(const Gemm<float, float>&, float*);
template void matmul_micro_kernel<Isa::GALVAN_ISA>(const Gemm<double, double>&, double*);
template void matmul_micro_kernel<Isa::GALVAN_ISA>(const Gemm<bfloat16, bfloat16>&, float*);
template void matmul_micro_kernel<Isa::GALVAN_ISA>(const Gemm<bfloat16, float>&, float*);

}  // namespace ladder
}  // namespace galvan
