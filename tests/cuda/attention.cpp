// Attention on the card equals the CPU's, forward and backward.
#include "kernel_test.h"

using namespace galvan;

namespace {

// What a sum of n terms loses when each was rounded: the card's P and dS in bfloat16.
template <class T>
double rounded_weights(int64_t n) {
  return std::is_same_v<T, bfloat16> ? 0x1p-9 * std::sqrt(static_cast<double>(n)) : 0;
}

// q, k, v, and y from packed rows [B, T, heads D], each `skip` elements into its array.
template <class T>
void check_attention(const AttentionSizes& sizes, int64_t skip = 0) {
  const int64_t B = sizes.B, H = sizes.H, G = sizes.G, Tq = sizes.Tq, Tk = sizes.Tk, D = sizes.D;
  CAPTURE(D);
  CAPTURE(Tq);
  CAPTURE(Tk);
  const Stream stream;
  const int64_t q_size = B * Tq * H * D + skip, k_size = B * Tk * 2 * G * D + skip;
  Both<T> q(random_values<T>(q_size, "q", -2, 2)), kv(random_values<T>(k_size, "kv", -2, 2)), y(q_size),
      dy(random_values<T>(q_size, "dy")), dq(q_size), dkv(k_size);
  Both<Acc<T>> lse(B * H * Tq);
  const auto run = [&](auto on) {
    const auto rows = [&]<class Data>(Data* data, int64_t length, int64_t heads) {
      return HeadRows<Data>{data + skip, length * heads * D, D, heads * D};
    };
    const auto queries = [&](T* data) { return rows(data, Tq, H); };
    const auto keys = [&](T* data, int64_t first) { return rows(data + first * D, Tk, 2 * G); };
    const auto in = [](HeadRows<T> x) {
      return HeadRows<const T>{x.data, x.batch_stride, x.head_stride, x.row_stride};
    };
    attention_forward<T>(on, sizes, in(queries(q.on(on))), in(keys(kv.on(on), 0)), in(keys(kv.on(on), G)),
                         queries(y.on(on)), lse.on(on));
    attention_backward<T>(on, sizes, in(queries(q.on(on))), in(keys(kv.on(on), 0)), in(keys(kv.on(on), G)),
                          in(queries(y.on(on))), in(queries(dy.on(on))), lse.on(on), queries(dq.on(on)),
                          keys(dkv.on(on), 0), keys(dkv.on(on), G));
  };
  run(Cpu{});
  run(Cuda{stream});
  y.check(tolerance<T>(Tk * D));
  lse.check(tolerance<Acc<T>>(D));
  dq.check(tolerance<T>(Tk * D) + rounded_weights<T>(Tk));
  dkv.check(tolerance<T>(Tq * D) + rounded_weights<T>(Tq * H / G));
}

}  // namespace

TEST_CASE_TEMPLATE("attention equals the CPU's for every head size", T, float, double, bfloat16) {
  for (const int64_t D : {1, 8, 20, 32, 40, 64, 96, 128})
    check_attention<T>({.B = 1, .H = 2, .G = 1, .Tq = 33, .Tk = 33, .D = D, .causal = true, .scale = 0.3});
}

TEST_CASE_TEMPLATE("attention equals the CPU's for every length", T, float, double, bfloat16) {
  for (const int64_t steps : {1, 31, 64, 65, 130})
    for (const bool causal : {false, true})
      check_attention<T>(
          {.B = 2, .H = 2, .G = 2, .Tq = steps, .Tk = steps, .D = 32, .causal = causal, .scale = 0.25});
  // New queries over cached keys; more queries than keys; none.
  for (const int64_t queries : {1, 7, 33})
    check_attention<T>(
        {.B = 1, .H = 6, .G = 2, .Tq = queries, .Tk = 71, .D = 64, .causal = true, .scale = 0.125});
  check_attention<T>({.B = 1, .H = 2, .G = 1, .Tq = 67, .Tk = 3, .D = 16, .causal = false, .scale = 0.25});
  check_attention<T>({.B = 1, .H = 2, .G = 1, .Tq = 0, .Tk = 3, .D = 16, .causal = false, .scale = 0.25});
}

TEST_CASE_TEMPLATE("attention takes rows that are not aligned", T, float, double, bfloat16) {
  check_attention<T>({.B = 1, .H = 2, .G = 1, .Tq = 9, .Tk = 9, .D = 32, .causal = true, .scale = 0.2}, 1);
}

TEST_CASE("attention refuses heads that are too large") {
  const AttentionSizes sizes{.B = 1, .H = 1, .G = 1, .Tq = 1, .Tk = 1, .D = 129};
  const Stream stream;
  CHECK_THROWS_WITH_AS(attention_forward<float>(Cuda{stream}, sizes, {}, {}, {}, {}, nullptr),
                       "attention: heads of size 129, but CUDA's kernels take at most 128", Error);
}
