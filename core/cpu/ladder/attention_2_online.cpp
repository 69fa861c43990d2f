// Rung 2 of attention: one key after another, and no score is kept (M. Milakov and N. Gimelshein, "Online normalizer
// calculation for softmax", 2018).
// Before   attention_1_three_pass.cpp
// Next     core/cpu/attention_head.simd.cpp, which training uses: the same with tiles of 64 queries by 64 keys in
//          place of single ones, as products by vectors in registers, and heads shared out to threads. In f64 it uses
//          this rung.
// Changed  a query keeps the largest score m so far, the sum l of e^(s - m) and the sum o of e^(s - m) v; when m
//          grows, l and o are scaled down. Backward, lse gives every probability again from its score
// Helps    memory is linear in the length, and what a pass wrote and the next read is gone
// Costs    a query's keys come one by one, all of K and V for each query; backward every score is computed again
// Figure   8 x 6 heads of 256 rows of 64 in f32, causal: 120 ms, 4 % of the peak of multiply-adds, no faster than
//          rung 1, as a head's 256 KiB of scores fit in L2; with the backward 268 ms, as long as rung 1. It is memory
//          that is gained. Training's 10.9 ms, 40 %, and 26.7 (medians, on an AMD EPYC (Zen 3), 2026-11-27, one thread)
#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "core/cpu/ladder/attention.h"
#include "core/cpu/ladder/ladder.h"

namespace galvan::ladder {

template <class T>
void attention_head_forward_online(const AttentionSizes& sizes, int64_t b, int64_t h, int64_t first,
                                   int64_t last, HeadRows<const T> q, HeadRows<const T> k,
                                   HeadRows<const T> v, HeadRows<T> y, Acc<T>* lse) {
  using A = Acc<T>;
  const int64_t D = sizes.D, g = h / (sizes.H / sizes.G);
  std::vector<A> o(D);
  for (int64_t t = first; t < last; ++t) {
    A m = -std::numeric_limits<A>::infinity(), l = 0;
    std::fill(o.begin(), o.end(), A(0));
    for (int64_t j = 0; j < sizes.visible(t); ++j) {
      const A s = static_cast<A>(sizes.scale) * dot<A>(q.at(b, h, t), k.at(b, g, j), D);
      if (s > m) {
        const A factor = std::exp(m - s);
        l *= factor;
        store_scaled(factor, o.data(), D, o.data());
        m = s;
      }
      const A p = std::exp(s - m);
      l += p;
      add_scaled(p, v.at(b, g, j), D, o.data());
    }
    store_scaled(A(1) / l, o.data(), D, y.at(b, h, t));
    lse[(b * sizes.H + h) * sizes.Tq + t] = m + std::log(l);
  }
}

template <class T>
void attention_head_backward_online(const AttentionSizes& sizes, int64_t b, int64_t g, HeadRows<const T> q,
                                    HeadRows<const T> k, HeadRows<const T> v, HeadRows<const T> y,
                                    HeadRows<const T> dy, const Acc<T>* lse, HeadRows<T> dq, HeadRows<T> dk,
                                    HeadRows<T> dv) {
  using A = Acc<T>;
  const int64_t D = sizes.D, Tk = sizes.Tk, group = sizes.H / sizes.G;
  const A scale = static_cast<A>(sizes.scale);
  std::vector<A> dq_row(D), dk_rows(Tk * D), dv_rows(Tk * D);
  for (int64_t h = g * group; h < (g + 1) * group; ++h) {
    for (int64_t t = 0; t < sizes.Tq; ++t) {
      const T *q_row = q.at(b, h, t), *dy_row = dy.at(b, h, t);
      const A row_lse = lse[(b * sizes.H + h) * sizes.Tq + t], delta = dot<A>(dy_row, y.at(b, h, t), D);
      std::fill(dq_row.begin(), dq_row.end(), A(0));
      for (int64_t j = 0; j < sizes.visible(t); ++j) {
        const A p = std::exp(scale * dot<A>(q_row, k.at(b, g, j), D) - row_lse);
        const A ds = p * (dot<A>(dy_row, v.at(b, g, j), D) - delta);
        add_scaled(ds, k.at(b, g, j), D, dq_row.data());
        add_scaled(ds, q_row, D, dk_rows.data() + j * D);
        add_scaled(p, dy_row, D, dv_rows.data() + j * D);
      }
      store_scaled(scale, dq_row.data(), D, dq.at(b, h, t));
    }
  }
  for (int64_t j = 0; j < Tk; ++j) {
    store_scaled(scale, dk_rows.data() + j * D, D, dk.at(b, g, j));
    store_scaled(A(1), dv_rows.data() + j * D, D, dv.at(b, g, j));
  }
}

#define GALVAN_RUNG(T)                                                                                   \
  template void attention_head_forward_online(const AttentionSizes&, int64_t, int64_t, int64_t, int64_t, \
                                              HeadRows<const T>, HeadRows<const T>, HeadRows<const T>,   \
                                              HeadRows<T>, Acc<T>*);                                     \
  template void attention_head_backward_online(                                                          \
      const AttentionSizes&, int64_t, int64_t, HeadRows<const T>, HeadRows<const T>, HeadRows<const T>,  \
      HeadRows<const T>, HeadRows<const T>, const Acc<T>*, HeadRows<T>, HeadRows<T>, HeadRows<T>);
GALVAN_RUNG(float)
GALVAN_RUNG(double)
GALVAN_RUNG(bfloat16)

}  // namespace galvan::ladder
