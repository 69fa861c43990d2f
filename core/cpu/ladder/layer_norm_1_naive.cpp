// Rung 1 of layer_norm: the formula, each of its steps over all rows before the next.
//   s = x + residual        xhat = (s - mean) rstd        y = xhat weight + bias
//   g = dy weight           ds = rstd (g - sum_c g / C - xhat sum_c (g xhat) / C) + dsum
//   dweight = sum_r dy xhat        dbias = sum_r dy
// Next     layer_norm_2_row_by_row.cpp
// Costs    every step reads the matrix from outer caches or memory again: 3 times forward, 4 backward; the gradients
//          of weight and bias walk down columns, a line of cache for every element
// Figure   2,048 rows of 384 in f32 take 1.6 ms, 30 % of the speed of a copy; with their backward 10.6 ms (medians,
//          on an AMD EPYC (Zen 3), 2026-11-27, one thread)
#include <cmath>
#include <vector>

#include "core/cpu/ladder/ladder.h"

namespace galvan::ladder {

template <class T>
void norm_forward_naive(const NormForward<T>& p) {
  using A = Acc<T>;
  const int64_t R = p.rows, C = p.columns;
  if (p.residual)
    for (int64_t i = 0; i < R * C; ++i)
      p.sum[i] = static_cast<T>(static_cast<A>(p.x[i]) + static_cast<A>(p.residual[i]));
  const T* s = p.residual ? p.sum : p.x;
  if (p.mean) {
    for (int64_t r = 0; r < R; ++r) {
      A sum = 0;
      for (int64_t c = 0; c < C; ++c) sum += static_cast<A>(s[r * C + c]);
      p.mean[r] = sum / static_cast<A>(C);
    }
  }
  for (int64_t r = 0; r < R; ++r) {
    const A mean = p.mean ? p.mean[r] : A(0);
    A squares = 0;
    for (int64_t c = 0; c < C; ++c) {
      const A d = static_cast<A>(s[r * C + c]) - mean;
      squares += d * d;
    }
    p.rstd[r] = A(1) / std::sqrt(squares / static_cast<A>(C) + static_cast<A>(p.eps));
  }
  for (int64_t r = 0; r < R; ++r) {
    const A mean = p.mean ? p.mean[r] : A(0);
    for (int64_t c = 0; c < C; ++c) {
      const A xhat = (static_cast<A>(s[r * C + c]) - mean) * p.rstd[r];
      const A weight = p.weight ? static_cast<A>(p.weight[c]) : A(1);
      const A bias = p.bias ? static_cast<A>(p.bias[c]) : A(0);
      p.y[r * C + c] = static_cast<T>(xhat * weight + bias);
    }
  }
}

template <class T>
void norm_backward_naive(const NormBackward<T>& p) {
  using A = Acc<T>;
  const int64_t R = p.rows, C = p.columns;
  const auto dy = [&](int64_t r, int64_t c) { return static_cast<A>(p.dy[r * C + c]); };
  const auto xhat = [&](int64_t r, int64_t c) {
    return (static_cast<A>(p.s[r * C + c]) - (p.mean ? p.mean[r] : A(0))) * p.rstd[r];
  };
  const auto g = [&](int64_t r, int64_t c) {
    return dy(r, c) * (p.weight ? static_cast<A>(p.weight[c]) : A(1));
  };
  if (p.dx) {
    std::vector<A> level(R), along(R);  // the means of g and of g xhat
    for (int64_t r = 0; r < R && p.mean; ++r) {
      for (int64_t c = 0; c < C; ++c) level[r] += g(r, c);
      level[r] /= static_cast<A>(C);
    }
    for (int64_t r = 0; r < R; ++r) {
      for (int64_t c = 0; c < C; ++c) along[r] += g(r, c) * xhat(r, c);
      along[r] /= static_cast<A>(C);
    }
    for (int64_t r = 0; r < R; ++r)
      for (int64_t c = 0; c < C; ++c) {
        const A ds = (g(r, c) - level[r] - xhat(r, c) * along[r]) * p.rstd[r];
        p.dx[r * C + c] = static_cast<T>(ds + (p.dsum ? static_cast<A>(p.dsum[r * C + c]) : A(0)));
      }
  }
  if (p.dweight)
    for (int64_t c = 0; c < C; ++c) {
      A sum = 0;
      for (int64_t r = 0; r < R; ++r) sum += dy(r, c) * xhat(r, c);
      p.dweight[c] = static_cast<T>(sum);
    }
  if (p.dbias)
    for (int64_t c = 0; c < C; ++c) {
      A sum = 0;
      for (int64_t r = 0; r < R; ++r) sum += dy(r, c);
      p.dbias[c] = static_cast<T>(sum);
    }
}

#define GALVAN_RUNG(T)                                     \
  template void norm_forward_naive(const NormForward<T>&); \
  template void norm_backward_naive(const NormBackward<T>&);
GALVAN_RUNG(float)
GALVAN_RUNG(double)
GALVAN_RUNG(bfloat16)

}  // namespace galvan::ladder
