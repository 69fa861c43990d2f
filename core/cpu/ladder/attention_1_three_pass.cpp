// Rung 1 of attention: the formula in three passes, with a head's scores in memory.
//   S = scale Q K^T, masked        P = softmax(S)        O = P V        lse[t] = ln sum_j exp(S[t, j])
//   dV = P^T dO      dP = dO V^T      dS = P (dP - delta)      dQ = scale dS K      dK = scale dS^T Q
//   delta[t] = <dO[t], O[t]>
// Next     attention_2_online.cpp
// Costs    Tq Tk numbers for each head, twice as many backward, written by one pass and read by the next: what limits
//          the length of a text; a product's sum waits for itself
// Figure   8 x 6 heads of 256 rows of 64 in f32, causal: 99 ms, 4 % of the peak of multiply-adds; with the
//          backward 264 ms (medians, on an AMD EPYC (Zen 3), 2026-11-27, one thread)
#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "core/cpu/ladder/attention.h"
#include "core/cpu/ladder/ladder.h"

namespace galvan::ladder {

template <class T>
void attention_forward_three_pass(const AttentionSizes& sizes, HeadRows<const T> q, HeadRows<const T> k,
                                  HeadRows<const T> v, HeadRows<T> y, Acc<T>* lse) {
  using A = Acc<T>;
  const auto [B, H, G, Tq, Tk, D, causal, scale] = sizes;
  std::vector<A> p(Tq * Tk), o(D);
  for (int64_t head = 0; head < B * H; ++head, lse += Tq) {
    const int64_t b = head / H, h = head % H, g = h / (H / G);
    for (int64_t t = 0; t < Tq; ++t)
      for (int64_t j = 0; j < sizes.visible(t); ++j)
        p[t * Tk + j] = static_cast<A>(scale) * dot<A>(q.at(b, h, t), k.at(b, g, j), D);
    for (int64_t t = 0; t < Tq; ++t) {
      A* const row = p.data() + t * Tk;
      const int64_t keys = sizes.visible(t);
      A m = -std::numeric_limits<A>::infinity();
      for (int64_t j = 0; j < keys; ++j) m = std::max(m, row[j]);
      A sum = 0;
      for (int64_t j = 0; j < keys; ++j) sum += row[j] = std::exp(row[j] - m);
      for (int64_t j = 0; j < keys; ++j) row[j] /= sum;
      lse[t] = m + std::log(sum);
    }
    for (int64_t t = 0; t < Tq; ++t) {
      std::fill(o.begin(), o.end(), A(0));
      for (int64_t j = 0; j < sizes.visible(t); ++j) add_scaled(p[t * Tk + j], v.at(b, g, j), D, o.data());
      store_scaled(A(1), o.data(), D, y.at(b, h, t));
    }
  }
}

template <class T>
void attention_backward_three_pass(const AttentionSizes& sizes, HeadRows<const T> q, HeadRows<const T> k,
                                   HeadRows<const T> v, HeadRows<const T> y, HeadRows<const T> dy,
                                   const Acc<T>* lse, HeadRows<T> dq, HeadRows<T> dk, HeadRows<T> dv) {
  using A = Acc<T>;
  const auto [B, H, G, Tq, Tk, D, causal, scale] = sizes;
  std::vector<A> p(Tq * Tk), ds(Tq * Tk), dq_row(D), dk_rows(Tk * D), dv_rows(Tk * D);
  for (int64_t head = 0; head < B * H; ++head, lse += Tq) {
    const int64_t b = head / H, h = head % H, g = h / (H / G);
    for (int64_t t = 0; t < Tq; ++t)
      for (int64_t j = 0; j < sizes.visible(t); ++j)
        p[t * Tk + j] = std::exp(static_cast<A>(scale) * dot<A>(q.at(b, h, t), k.at(b, g, j), D) - lse[t]);
    for (int64_t t = 0; t < Tq; ++t) {
      const A delta = dot<A>(dy.at(b, h, t), y.at(b, h, t), D);
      for (int64_t j = 0; j < sizes.visible(t); ++j)
        ds[t * Tk + j] = p[t * Tk + j] * (dot<A>(dy.at(b, h, t), v.at(b, g, j), D) - delta);
    }
    for (int64_t t = 0; t < Tq; ++t) {
      std::fill(dq_row.begin(), dq_row.end(), A(0));
      for (int64_t j = 0; j < sizes.visible(t); ++j)
        add_scaled(ds[t * Tk + j], k.at(b, g, j), D, dq_row.data());
      store_scaled(static_cast<A>(scale), dq_row.data(), D, dq.at(b, h, t));
    }
    if (h % (H / G) == 0) {  // the first head that reads these keys and values
      std::fill(dk_rows.begin(), dk_rows.end(), A(0));
      std::fill(dv_rows.begin(), dv_rows.end(), A(0));
    }
    for (int64_t t = 0; t < Tq; ++t)
      for (int64_t j = 0; j < sizes.visible(t); ++j) {
        add_scaled(ds[t * Tk + j], q.at(b, h, t), D, dk_rows.data() + j * D);
        add_scaled(p[t * Tk + j], dy.at(b, h, t), D, dv_rows.data() + j * D);
      }
    for (int64_t j = 0; j < Tk && h % (H / G) == H / G - 1; ++j) {
      store_scaled(static_cast<A>(scale), dk_rows.data() + j * D, D, dk.at(b, g, j));
      store_scaled(A(1), dv_rows.data() + j * D, D, dv.at(b, g, j));
    }
  }
}

#define GALVAN_RUNG(T)                                                                                     \
  template void attention_forward_three_pass(const AttentionSizes&, HeadRows<const T>, HeadRows<const T>,  \
                                             HeadRows<const T>, HeadRows<T>, Acc<T>*);                     \
  template void attention_backward_three_pass(const AttentionSizes&, HeadRows<const T>, HeadRows<const T>, \
                                              HeadRows<const T>, HeadRows<const T>, HeadRows<const T>,     \
                                              const Acc<T>*, HeadRows<T>, HeadRows<T>, HeadRows<T>);
GALVAN_RUNG(float)
GALVAN_RUNG(double)
GALVAN_RUNG(bfloat16)

}  // namespace galvan::ladder
