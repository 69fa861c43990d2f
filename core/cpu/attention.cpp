// Attention: tasks over heads. f32 and bf16 run the tiles of attention_head.h, f64 (gradient checks) plain loops.
//   P = softmax(scale Q K^T + mask)        O = P V        lse[t] = ln sum_j exp(scale <Q[t], K[j]>)
//   dV = P^T dO      dS = P (dO V^T - delta)      dQ = scale dS K      dK = scale dS^T Q
//   delta[t] = <dO[t], O[t]>
// Tasks    forward: (batch, head, range of queries); backward: (batch, key/value head), so that the sums of dK
//          and dV over the queries of all heads that share them have one order
// Compute  4 B H Tq Tk D FLOPs forward, 10 backward, half of that when causal
#include <cmath>
#include <vector>

#include "core/cpu/attention_head.h"
#include "core/cpu/scratch.h"
#include "core/kernels.h"
#include "core/parallel.h"

namespace galvan {
namespace {

constexpr int64_t kWidest = 16;           // the lanes of the widest vector
constexpr int64_t kManyTasks = 16;        // enough heads not to cut the queries too
constexpr int64_t kQueriesPerTask = 128;  // a range of queries; it repeats the transposition of the keys

int64_t round_up(int64_t n, int64_t to) { return (n + to - 1) / to * to; }

double dot(const double* a, const double* b, int64_t n) {
  double sum = 0.0;
  for (int64_t i = 0; i < n; ++i) sum += a[i] * b[i];
  return sum;
}

void axpy(double factor, const double* x, int64_t n, double* y) {
  for (int64_t i = 0; i < n; ++i) y[i] += factor * x[i];
}

void forward_rows(const AttentionSizes& sizes, int64_t b, int64_t h, int64_t first, int64_t last,
                  HeadRows<const double> q, HeadRows<const double> k, HeadRows<const double> v,
                  HeadRows<double> y, double* lse) {
  const int64_t g = h / (sizes.H / sizes.G);
  std::vector<double> p(sizes.Tk);
  for (int64_t t = first; t < last; ++t) {
    const int64_t keys = sizes.visible(t);
    double largest = -INFINITY;
    for (int64_t j = 0; j < keys; ++j) {
      p[j] = sizes.scale * dot(q.at(b, h, t), k.at(b, g, j), sizes.D);
      largest = std::max(largest, p[j]);
    }
    double sum = 0.0;
    for (int64_t j = 0; j < keys; ++j) sum += p[j] = std::exp(p[j] - largest);
    std::fill_n(y.at(b, h, t), sizes.D, 0.0);
    for (int64_t j = 0; j < keys; ++j) axpy(p[j] / sum, v.at(b, g, j), sizes.D, y.at(b, h, t));
    lse[(b * sizes.H + h) * sizes.Tq + t] = largest + std::log(sum);
  }
}

void backward_rows(const AttentionSizes& sizes, int64_t b, int64_t g, HeadRows<const double> q,
                   HeadRows<const double> k, HeadRows<const double> v, HeadRows<const double> y,
                   HeadRows<const double> dy, const double* lse, HeadRows<double> dq, HeadRows<double> dk,
                   HeadRows<double> dv) {
  const int64_t D = sizes.D, group = sizes.H / sizes.G;
  for (int64_t j = 0; j < sizes.Tk; ++j) {
    std::fill_n(dk.at(b, g, j), D, 0.0);
    std::fill_n(dv.at(b, g, j), D, 0.0);
  }
  for (int64_t h = g * group; h < (g + 1) * group; ++h) {
    for (int64_t t = 0; t < sizes.Tq; ++t) {
      const double *q_row = q.at(b, h, t), *dy_row = dy.at(b, h, t);
      const double delta = dot(dy_row, y.at(b, h, t), D);
      std::fill_n(dq.at(b, h, t), D, 0.0);
      for (int64_t j = 0; j < sizes.visible(t); ++j) {
        const double* k_row = k.at(b, g, j);
        const double p = std::exp(sizes.scale * dot(q_row, k_row, D) - lse[(b * sizes.H + h) * sizes.Tq + t]);
        const double ds = sizes.scale * p * (dot(dy_row, v.at(b, g, j), D) - delta);
        axpy(p, dy_row, D, dv.at(b, g, j));
        axpy(ds, k_row, D, dq.at(b, h, t));
        axpy(ds, q_row, D, dk.at(b, g, j));
      }
    }
  }
}

}  // namespace

int64_t attention_forward_scratch(const AttentionSizes& sizes) {
  const int64_t width = round_up(sizes.D, kWidest), keys = round_up(sizes.Tk, kAttentionKeys);
  return (2 * keys + 2 * kAttentionQueries) * width + kAttentionQueries * kAttentionKeys;
}

int64_t attention_backward_scratch(const AttentionSizes& sizes) {
  const int64_t width = round_up(sizes.D, kWidest), keys = round_up(sizes.Tk, kAttentionKeys);
  return (5 * keys + 3 * kAttentionQueries) * width + 2 * kAttentionQueries * kAttentionKeys;
}

template <class T>
void attention_forward(Cpu, const AttentionSizes& sizes, HeadRows<const T> q, HeadRows<const T> k,
                       HeadRows<const T> v, HeadRows<T> y, Acc<T>* lse) {
  const int64_t heads = sizes.B * sizes.H;
  const int64_t per_task = heads >= kManyTasks ? sizes.Tq : kQueriesPerTask;
  const int64_t pieces = (sizes.Tq + per_task - 1) / per_task;
  parallel_for(heads * pieces, [&](int64_t task) {
    const int64_t head = task / pieces, first = task % pieces * per_task;
    const int64_t b = head / sizes.H, h = head % sizes.H, last = std::min(first + per_task, sizes.Tq);
    if constexpr (std::is_same_v<T, double>) {
      forward_rows(sizes, b, h, first, last, q, k, v, y, lse);
    } else {
      const Scratch<float> scratch(attention_forward_scratch(sizes));
      with_isa([&]<Isa isa>() {
        attention_head_forward<isa, T>(sizes, b, h, first, last, q, k, v, y, lse, scratch.data());
      });
    }
  });
}

template <class T>
void attention_backward(Cpu, const AttentionSizes& sizes, HeadRows<const T> q, HeadRows<const T> k,
                        HeadRows<const T> v, HeadRows<const T> y, HeadRows<const T> dy, const Acc<T>* lse,
                        HeadRows<T> dq, HeadRows<T> dk, HeadRows<T> dv) {
  parallel_for(sizes.B * sizes.G, [&](int64_t task) {
    const int64_t b = task / sizes.G, g = task % sizes.G;
    if constexpr (std::is_same_v<T, double>) {
      backward_rows(sizes, b, g, q, k, v, y, dy, lse, dq, dk, dv);
    } else {
      const Scratch<float> scratch(attention_backward_scratch(sizes));
      with_isa([&]<Isa isa>() {
        attention_head_backward<isa, T>(sizes, b, g, q, k, v, y, dy, lse, dq, dk, dv, scratch.data());
      });
    }
  });
}

#define GALVAN_ATTENTION(T)                                                                                \
  template void attention_forward(Cpu, const AttentionSizes&, HeadRows<const T>, HeadRows<const T>,        \
                                  HeadRows<const T>, HeadRows<T>, Acc<T>*);                                \
  template void attention_backward(Cpu, const AttentionSizes&, HeadRows<const T>, HeadRows<const T>,       \
                                   HeadRows<const T>, HeadRows<const T>, HeadRows<const T>, const Acc<T>*, \
                                   HeadRows<T>, HeadRows<T>, HeadRows<T>);
GALVAN_ATTENTION(float)
GALVAN_ATTENTION(double)
GALVAN_ATTENTION(bfloat16)

}  // namespace galvan
