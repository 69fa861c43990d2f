// Layer norm and RMS norm over the last dimension, with a residual added on the way where one is given.
//   s = x + residual          xhat = (s - mean) rstd          y = xhat weight + bias
//   layer: mean = sum_c s / C,  rstd = 1 / sqrt(sum_c (s - mean)^2 / C + eps)      two passes over a row
//   RMS:   mean = 0             so the same formulas hold
//   With g = dy weight:  ds = rstd (g - sum_c g / C - xhat sum_c (g xhat) / C) + dsum  RMS: without sum_c g
//                        dweight = sum_r dy xhat,  dbias = sum_r dy
// Shapes   x, residual, s, y and their gradients [R, C]; weight, bias [C]; mean, rstd [R] in Acc<T>
// Memory   forward 2 R C sizeof(T) bytes, 4 with a residual; backward 3 R C, 4 with dsum. Rows stay in L1.
// Order    dweight and dbias are summed over fixed blocks of rows, then block after block
#include <cmath>

#include "core/cpu/ladder/ladder.h"
#include "core/cpu/rows.h"
#include "core/kernels.h"
#include "core/parallel.h"
#include "core/variants.h"

namespace galvan {
namespace {

Variants versions("layer_norm", "cpu",
                  {{"vectorised", "core/cpu/norm.cpp"},
                   {"naive", "core/cpu/ladder/layer_norm_1_naive.cpp"},
                   {"row_by_row", "core/cpu/ladder/layer_norm_2_row_by_row.cpp"}},
                  Passes::both);

template <bool kValue>
using Flag = std::integral_constant<bool, kValue>;

// f(Flag<a>, Flag<b>), so that loops have no branch.
template <class F>
void with_flags(bool a, bool b, const F& f) {
  if (a) {
    b ? f(Flag<true>{}, Flag<true>{}) : f(Flag<true>{}, Flag<false>{});
  } else {
    b ? f(Flag<false>{}, Flag<true>{}) : f(Flag<false>{}, Flag<false>{});
  }
}

template <class T>
struct Statistics {
  Acc<T> mean, rstd;
};

template <class T>
Statistics<T> row_statistics(const T* s, int64_t columns, bool centered, double eps) {
  using A = Acc<T>;
  const A scale = A(1) / static_cast<A>(columns);
  const A mean = centered ? lane_sum<A>(columns, [&](int64_t c) { return static_cast<A>(s[c]); }) * scale : 0;
  const A squares = lane_sum<A>(columns, [&](int64_t c) {
    const A d = static_cast<A>(s[c]) - mean;
    return d * d;
  });
  return {mean, A(1) / std::sqrt(squares * scale + static_cast<A>(eps))};
}

template <class T>
void norm_forward_vectorised(const NormForward<T>& p) {
  using A = Acc<T>;
  const int64_t columns = p.columns;
  parallel_ranges(p.rows, rows_per_task(columns), [&](int64_t begin, int64_t end) {
    with_flags(p.weight, p.bias, [&](auto weighted, auto biased) {
      for (int64_t r = begin; r < end; ++r) {
        const T* __restrict s = p.x + r * columns;
        if (p.residual) {
          const T* __restrict x = s;
          const T* __restrict residual = p.residual + r * columns;
          T* __restrict sum = p.sum + r * columns;
          for (int64_t c = 0; c < columns; ++c)
            sum[c] = static_cast<T>(static_cast<A>(x[c]) + static_cast<A>(residual[c]));
          s = sum;
        }
        const auto [mean, rstd] = row_statistics<T>(s, columns, p.mean != nullptr, p.eps);
        const A shift = mean, scale = rstd;
        T* __restrict y = p.y + r * columns;
        for (int64_t c = 0; c < columns; ++c) {
          A value = (static_cast<A>(s[c]) - shift) * scale;
          if constexpr (weighted) value *= static_cast<A>(p.weight[c]);
          if constexpr (biased) value += static_cast<A>(p.bias[c]);
          y[c] = static_cast<T>(value);
        }
        if (p.mean) p.mean[r] = mean;
        p.rstd[r] = rstd;
      }
    });
  });
}

// dx of one row; adds the row's terms to dweight and dbias, in Acc<T>.
template <bool kWeighted, bool kHasDsum, class T>
void row_backward(const NormBackward<T>& p, int64_t r, Acc<T>* __restrict dweight, Acc<T>* __restrict dbias) {
  using A = Acc<T>;
  const int64_t columns = p.columns;
  const T* __restrict s = p.s + r * columns;
  const T* __restrict dy = p.dy + r * columns;
  const T* __restrict weight = p.weight;
  const A mean = p.mean ? p.mean[r] : A(0), rstd = p.rstd[r];
  const auto xhat = [=](int64_t c) { return (static_cast<A>(s[c]) - mean) * rstd; };
  const auto g = [=](int64_t c) {
    A value = static_cast<A>(dy[c]);
    if constexpr (kWeighted) value *= static_cast<A>(weight[c]);
    return value;
  };
  if (p.dx) {
    const A scale = A(1) / static_cast<A>(columns);
    const auto g_xhat = [=](int64_t c) { return g(c) * xhat(c); };
    const auto sums =
        p.mean ? lane_sums<A>(columns, g_xhat, g) : std::pair(lane_sum<A>(columns, g_xhat), A(0));
    const A along = sums.first * scale, level = sums.second * scale;
    const T* __restrict dsum = p.dsum + (kHasDsum ? r * columns : 0);
    T* __restrict dx = p.dx + r * columns;
    for (int64_t c = 0; c < columns; ++c) {
      A value = (g(c) - level - xhat(c) * along) * rstd;
      if constexpr (kHasDsum) value += static_cast<A>(dsum[c]);
      dx[c] = static_cast<T>(value);
    }
  }
  if (dweight)
    for (int64_t c = 0; c < columns; ++c) dweight[c] += static_cast<A>(dy[c]) * xhat(c);
  if (dbias)
    for (int64_t c = 0; c < columns; ++c) dbias[c] += static_cast<A>(dy[c]);
}

template <class T>
void norm_backward_vectorised(const NormBackward<T>& p) {
  using A = Acc<T>;
  const int64_t blocks = row_blocks(p.rows), columns = p.columns;
  const int64_t block_rows = blocks > 0 ? (p.rows + blocks - 1) / blocks : 1;
  A* const dweights = p.dweight ? p.partial : nullptr;
  A* const dbiases = p.dbias ? p.partial + (p.dweight ? blocks * columns : 0) : nullptr;
  parallel_for(blocks, [&](int64_t block) {
    A* const dweight = dweights ? dweights + block * columns : nullptr;
    A* const dbias = dbiases ? dbiases + block * columns : nullptr;
    if (dweight) std::fill_n(dweight, columns, A(0));
    if (dbias) std::fill_n(dbias, columns, A(0));
    const int64_t begin = block * block_rows, end = std::min(p.rows, begin + block_rows);
    with_flags(p.weight, p.dsum, [&](auto weighted, auto has_dsum) {
      for (int64_t r = begin; r < end; ++r) row_backward<weighted, has_dsum>(p, r, dweight, dbias);
    });
  });
  if (p.dweight) sum_blocks(dweights, blocks, columns, p.dweight);
  if (p.dbias) sum_blocks(dbiases, blocks, columns, p.dbias);
}

}  // namespace

template <class T>
void norm_forward(Cpu, const NormForward<T>& p) {
  static constexpr decltype(&norm_forward_vectorised<T>) kVersions[] = {
      norm_forward_vectorised<T>, ladder::norm_forward_naive<T>, ladder::norm_forward_row_by_row<T>};
  versions.pick(kVersions)(p);
}

template <class T>
void norm_backward(Cpu, const NormBackward<T>& p) {
  static constexpr decltype(&norm_backward_vectorised<T>) kVersions[] = {
      norm_backward_vectorised<T>, ladder::norm_backward_naive<T>, ladder::norm_backward_row_by_row<T>};
  versions.pick(kVersions)(p);
}

#define GALVAN_NORM(T)                                    \
  template void norm_forward(Cpu, const NormForward<T>&); \
  template void norm_backward(Cpu, const NormBackward<T>&);
GALVAN_NORM(float)
GALVAN_NORM(double)
GALVAN_NORM(bfloat16)

}  // namespace galvan
