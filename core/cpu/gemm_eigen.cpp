// The same product by Eigen: what gemm_packed is checked and measured against. Eigen computes in the calling
// thread, blocks of rows are spread over the pool.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // false alarms in g++'s own AVX-512 header
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif
#define EIGEN_DONT_PARALLELIZE
#include <Eigen/Core>
#include <algorithm>

#include "core/cpu/gemm.h"
#include "core/parallel.h"

namespace galvan {
namespace {

template <class T>
using Matrix = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
template <class T>
using Map = Eigen::Map<const Matrix<T>, 0, Eigen::OuterStride<>>;

constexpr double kTaskFlops = 8e6;

// What Eigen can multiply: the matrix itself, or bfloat16 widened to a copy.
template <class In>
Matrix<float> widened(const In* data, int64_t ld, int64_t rows, int64_t columns) {
  Matrix<float> wide(rows, columns);
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t c = 0; c < columns; ++c) wide(r, c) = static_cast<float>(data[r * ld + c]);
  }
  return wide;
}

}  // namespace

template <class In, class Out>
void gemm_eigen(const Gemm<In, Out>& g) {
  if (g.m == 0 || g.n == 0) return;
  if constexpr (std::is_same_v<In, bfloat16>) {
    const auto a = widened(g.a, g.lda, g.transpose_a ? g.k : g.m, g.transpose_a ? g.m : g.k);
    const auto b = widened(g.b, g.ldb, g.transpose_b ? g.n : g.k, g.transpose_b ? g.k : g.n);
    auto c = widened(g.c, g.ldc, g.accumulate ? g.m : 0, g.n);
    c.conservativeResize(g.m, g.n);
    Matrix<float> bias;
    if (g.bias) bias = widened(g.bias, 0, 1, g.n);
    gemm_eigen<float, float>({.m = g.m,
                              .n = g.n,
                              .k = g.k,
                              .a = a.data(),
                              .lda = a.cols(),
                              .transpose_a = g.transpose_a,
                              .b = b.data(),
                              .ldb = b.cols(),
                              .transpose_b = g.transpose_b,
                              .c = c.data(),
                              .ldc = g.n,
                              .bias = g.bias ? bias.data() : nullptr,
                              .accumulate = g.accumulate});
    for (int64_t r = 0; r < g.m; ++r) {
      for (int64_t j = 0; j < g.n; ++j) g.c[r * g.ldc + j] = static_cast<Out>(c(r, j));
    }
  } else {
    const Map<In> b(g.b, g.transpose_b ? g.n : g.k, g.transpose_b ? g.k : g.n, Eigen::OuterStride<>(g.ldb));
    const double row_flops = 2.0 * static_cast<double>(g.n) * static_cast<double>(g.k);
    const auto grain = std::max<int64_t>(16, static_cast<int64_t>(kTaskFlops / (row_flops + 1)));
    parallel_ranges(g.m, grain, [&](int64_t begin, int64_t end) {
      const int64_t rows = end - begin;
      const In* a_begin = g.transpose_a ? g.a + begin : g.a + begin * g.lda;
      const Map<In> a(a_begin, g.transpose_a ? g.k : rows, g.transpose_a ? rows : g.k,
                      Eigen::OuterStride<>(g.lda));
      Eigen::Map<Matrix<Out>, 0, Eigen::OuterStride<>> c(g.c + begin * g.ldc, rows, g.n,
                                                         Eigen::OuterStride<>(g.ldc));
      if (!g.accumulate) c.setZero();
      if (g.bias) c.rowwise() += Eigen::Map<const Eigen::Matrix<In, 1, Eigen::Dynamic>>(g.bias, g.n);
      if (g.k == 0) return;
      if (g.transpose_a && g.transpose_b) {
        c.noalias() += a.transpose() * b.transpose();
      } else if (g.transpose_a) {
        c.noalias() += a.transpose() * b;
      } else if (g.transpose_b) {
        c.noalias() += a * b.transpose();
      } else {
        c.noalias() += a * b;
      }
    });
  }
}

template void gemm_eigen(const Gemm<float, float>&);
template void gemm_eigen(const Gemm<double, double>&);
template void gemm_eigen(const Gemm<bfloat16, bfloat16>&);
template void gemm_eigen(const Gemm<bfloat16, float>&);

}  // namespace galvan
