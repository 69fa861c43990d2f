// Attention: tasks over heads. f32 and bf16 run the tiles of attention_head.h, f64 (gradient checks) a lower rung of the
// ladder.
//   P = softmax(scale Q K^T + mask)        O = P V        lse[t] = ln sum_j exp(scale <Q[t], K[j]>)
//   dV = P^T dO      dS = P (dO V^T - delta)      dQ = scale dS K      dK = scale dS^T Q
//   delta[t] = <dO[t], O[t]>
// Tasks    forward: (batch, head, range of queries); backward: (batch, key/value head), so that the sums of dK
//          and dV over the queries of all heads that share them have one order
// Compute  4 B H Tq Tk D FLOPs forward, 10 backward, half of that when causal
#include "core/cpu/attention_head.h"
#include "core/cpu/ladder/ladder.h"
#include "core/cpu/scratch.h"
#include "core/kernels.h"
#include "core/parallel.h"
#include "core/variants.h"

namespace galvan {
namespace {

Variants versions("attention", "cpu",
                  {{"flash", "core/cpu/attention_head.simd.cpp"},
                   {"three_pass", "core/cpu/ladder/attention_1_three_pass.cpp"},
                   {"online", "core/cpu/ladder/attention_2_online.cpp"}},
                  Passes::both);

constexpr int64_t kWidest = 16;           // the lanes of the widest vector
constexpr int64_t kManyTasks = 16;        // enough heads not to cut the queries too
constexpr int64_t kQueriesPerTask = 128;  // a range of queries; it repeats the transposition of the keys

int64_t round_up(int64_t n, int64_t to) { return (n + to - 1) / to * to; }

}  // namespace

int64_t attention_forward_scratch(const AttentionSizes& sizes) {
  const int64_t width = round_up(sizes.D, kWidest), keys = round_up(sizes.Tk, kAttentionKeys);
  return (2 * keys + 2 * kAttentionQueries) * width + kAttentionQueries * kAttentionKeys;
}

int64_t attention_backward_scratch(const AttentionSizes& sizes) {
  const int64_t width = round_up(sizes.D, kWidest), keys = round_up(sizes.Tk, kAttentionKeys);
  return (5 * keys + 3 * kAttentionQueries) * width + 2 * kAttentionQueries * kAttentionKeys;
}

namespace {

template <class T>
void attention_forward_flash(const AttentionSizes& sizes, HeadRows<const T> q, HeadRows<const T> k,
                             HeadRows<const T> v, HeadRows<T> y, Acc<T>* lse) {
  const int64_t heads = sizes.B * sizes.H;
  const int64_t per_task = heads >= kManyTasks ? sizes.Tq : kQueriesPerTask;
  const int64_t pieces = (sizes.Tq + per_task - 1) / per_task;
  parallel_for(heads * pieces, [&](int64_t task) {
    const int64_t head = task / pieces, first = task % pieces * per_task;
    const int64_t b = head / sizes.H, h = head % sizes.H, last = std::min(first + per_task, sizes.Tq);
    if constexpr (std::is_same_v<T, double>) {
      ladder::attention_head_forward_online(sizes, b, h, first, last, q, k, v, y, lse);
    } else {
      const Scratch<float> scratch(attention_forward_scratch(sizes));
      with_isa([&]<Isa isa>() {
        attention_head_forward<isa, T>(sizes, b, h, first, last, q, k, v, y, lse, scratch.data());
      });
    }
  });
}

template <class T>
void attention_backward_flash(const AttentionSizes& sizes, HeadRows<const T> q, HeadRows<const T> k,
                              HeadRows<const T> v, HeadRows<const T> y, HeadRows<const T> dy,
                              const Acc<T>* lse, HeadRows<T> dq, HeadRows<T> dk, HeadRows<T> dv) {
  parallel_for(sizes.B * sizes.G, [&](int64_t task) {
    const int64_t b = task / sizes.G, g = task % sizes.G;
    if constexpr (std::is_same_v<T, double>) {
      ladder::attention_head_backward_online(sizes, b, g, q, k, v, y, dy, lse, dq, dk, dv);
    } else {
      const Scratch<float> scratch(attention_backward_scratch(sizes));
      with_isa([&]<Isa isa>() {
        attention_head_backward<isa, T>(sizes, b, g, q, k, v, y, dy, lse, dq, dk, dv, scratch.data());
      });
    }
  });
}

template <class T>
void attention_forward_online(const AttentionSizes& sizes, HeadRows<const T> q, HeadRows<const T> k,
                              HeadRows<const T> v, HeadRows<T> y, Acc<T>* lse) {
  for (int64_t head = 0; head < sizes.B * sizes.H; ++head)
    ladder::attention_head_forward_online(sizes, head / sizes.H, head % sizes.H, 0, sizes.Tq, q, k, v, y,
                                          lse);
}

template <class T>
void attention_backward_online(const AttentionSizes& sizes, HeadRows<const T> q, HeadRows<const T> k,
                               HeadRows<const T> v, HeadRows<const T> y, HeadRows<const T> dy,
                               const Acc<T>* lse, HeadRows<T> dq, HeadRows<T> dk, HeadRows<T> dv) {
  for (int64_t head = 0; head < sizes.B * sizes.G; ++head)
    ladder::attention_head_backward_online(sizes, head / sizes.G, head % sizes.G, q, k, v, y, dy, lse, dq, dk,
                                           dv);
}

}  // namespace

template <class T>
void attention_forward(Cpu, const AttentionSizes& sizes, HeadRows<const T> q, HeadRows<const T> k,
                       HeadRows<const T> v, HeadRows<T> y, Acc<T>* lse) {
  static constexpr decltype(&attention_forward_flash<T>) kVersions[] = {
      attention_forward_flash<T>, ladder::attention_forward_three_pass<T>, attention_forward_online<T>};
  versions.pick(kVersions)(sizes, q, k, v, y, lse);
}

template <class T>
void attention_backward(Cpu, const AttentionSizes& sizes, HeadRows<const T> q, HeadRows<const T> k,
                        HeadRows<const T> v, HeadRows<const T> y, HeadRows<const T> dy, const Acc<T>* lse,
                        HeadRows<T> dq, HeadRows<T> dk, HeadRows<T> dv) {
  static constexpr decltype(&attention_backward_flash<T>) kVersions[] = {
      attention_backward_flash<T>, ladder::attention_backward_three_pass<T>, attention_backward_online<T>};
  versions.pick(kVersions)(sizes, q, k, v, y, dy, lse, dq, dk, dv);
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
