#include "core/cpu/gemm.h"

#include <algorithm>
#include <cassert>

#include "core/check.h"
#include "core/cpu/ladder/ladder.h"
#include "core/kernels.h"
#include "core/parallel.h"
#include "core/variants.h"

namespace galvan {
namespace {

Variants versions("matmul", "cpu",
                  {{"packed", "core/cpu/gemm_packed.cpp"},
                   {"naive", "core/cpu/ladder/matmul_1_naive.cpp"},
                   {"loop_order", "core/cpu/ladder/matmul_2_loop_order.cpp"},
                   {"cache_blocked", "core/cpu/ladder/matmul_3_cache_blocked.cpp"},
                   {"micro_kernel", "core/cpu/ladder/matmul_4_micro_kernel.simd.cpp"},
                   {"eigen", "core/cpu/gemm_eigen.cpp", true}},
                  Passes::both);

// A batch of products smaller than this is spread over the threads product by product.
constexpr double kWholeProductFlops = 4e6;
constexpr double kTaskFlops = 2e5;

// Product `index` of the batch.
template <class In, class Out>
Gemm<In, Out> item(const Gemm<In, Out>& g, int64_t index) {
  Gemm<In, Out> one = g;
  one.a += index * g.batch_stride_a;
  one.b += index * g.batch_stride_b;
  one.c += index * g.batch_stride_c;
  return one;
}

template <class In, class Out, void (*multiply)(const Gemm<In, Out>&)>
void whole_batch(const Gemm<In, Out>& g) {
  const double flops = 2.0 * static_cast<double>(g.m) * static_cast<double>(g.n) * static_cast<double>(g.k);
  if (g.batch > 1 && flops < kWholeProductFlops) {
    const auto grain = static_cast<int64_t>(kTaskFlops / (flops + 1)) + 1;
    parallel_ranges(g.batch, grain, [&](int64_t begin, int64_t end) {
      for (int64_t index = begin; index < end; ++index) multiply(item(g, index));
    });
  } else {
    for (int64_t index = 0; index < g.batch; ++index) multiply(item(g, index));
  }
}

template <class In, class Out, void (*rung)(const Gemm<In, Out>&)>
void one_by_one(const Gemm<In, Out>& g) {
  for (int64_t index = 0; index < g.batch; ++index) rung(item(g, index));
}

}  // namespace

template <class In, class Out>
void gemm(const Gemm<In, Out>& product) {
  Gemm<In, Out> g = product;
  assert(g.m >= 0 && g.n >= 0 && g.k >= 0 && g.batch >= 0);
  // Rows that continue from one product of the batch to the next, all with one B, are rows of one product.
  if (g.batch > 1 && !g.transpose_a && g.batch_stride_b == 0 && g.batch_stride_a == g.m * g.lda &&
      g.batch_stride_c == g.m * g.ldc) {
    g.m *= g.batch;
    g.batch = 1;
  }
  static constexpr void (*kVersions[])(const Gemm<In, Out>&) = {
      whole_batch<In, Out, gemm_packed>,
      one_by_one<In, Out, ladder::matmul_naive>,
      one_by_one<In, Out, ladder::matmul_loop_order>,
      one_by_one<In, Out, ladder::matmul_cache_blocked>,
      one_by_one<In, Out, ladder::matmul_micro_kernel>,
      whole_batch<In, Out, gemm_eigen>};
  versions.pick(kVersions)(g);
}

template <class T>
void gemm(Cpu, const Gemm<T, T>& product) {
  gemm<T, T>(product);
}

template void gemm(Cpu, const Gemm<float, float>&);
template void gemm(Cpu, const Gemm<double, double>&);
template void gemm(Cpu, const Gemm<bfloat16, bfloat16>&);
template void gemm(const Gemm<float, float>&);
template void gemm(const Gemm<double, double>&);
template void gemm(const Gemm<bfloat16, bfloat16>&);
template void gemm(const Gemm<bfloat16, float>&);

}  // namespace galvan
