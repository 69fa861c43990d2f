// Scaled dot-product attention: y = softmax(scale q k^T + mask) v, and its gradients, from strided rows.
// What is kept for the backward: q, k, v, y and the log-sum-exp of each row of scores.
#include <cmath>

#include "core/autograd.h"
#include "core/kernels.h"

namespace galvan {
namespace {

// A tensor [B, heads, T, D] inside another, its last dimension dense.
struct Heads {
  Tensor x;
  int64_t offset;  // of the first head, in elements
  int64_t batch_stride, head_stride, row_stride;

  template <class T>
  HeadRows<T> rows() const {
    return {x.data<std::remove_const_t<T>>() + offset, batch_stride, head_stride, row_stride};
  }
};

// x [B, heads, T, D].
Heads heads_of(const Tensor& x_in) {
  const Tensor x = x_in.strides().back() == 1 || x_in.size(-1) == 1 ? x_in : dense(x_in);
  return {x, 0, x.strides()[0], x.strides()[1], x.strides()[2]};
}

// Heads [first, first + n) of x [B, T, heads D].
Heads packed_heads(const Tensor& x, int64_t first, int64_t D) {
  return {x, first * D, x.strides()[0], D, x.strides()[1]};
}

struct Operands {
  Heads q, k, v, y;
  Tensor lse;  // [B, H, Tq]
};

TensorOptions kind(const Tensor& x) { return {.dtype = x.dtype(), .device = x.device()}; }

Tensor empty_lse(const Tensor& q, const AttentionSizes& s) {
  return Tensor::empty({s.B, s.H, s.Tq}, {.dtype = acc_dtype(q.dtype()), .device = q.device()});
}

// [B, heads, T, D] in the memory of a dense [B, T, heads, D].
Tensor empty_heads(const Tensor& like) {
  const Shape& s = like.shape();
  return Tensor::empty({s[0], s[2], s[1], s[3]}, kind(like)).transpose(1, 2);
}

// Of so many matrix products over the pairs of a query and a key that it sees.
double product_flops(const AttentionSizes& s, int products) {
  double pairs = 0;
  for (int64_t query = 0; query < s.Tq; ++query) pairs += static_cast<double>(s.visible(query));
  return 2.0 * products * static_cast<double>(s.B * s.H * s.D) * pairs;
}

void run_forward(const AttentionSizes& sizes, const Operands& in) {
  dispatch<"attention">(in.q.x, [&]<class T>(auto on) {
    profile::computes(product_flops(sizes, 2));  // scores, y
    attention_forward<T>(on, sizes, in.q.rows<const T>(), in.k.rows<const T>(), in.v.rows<const T>(),
                         in.y.rows<T>(), in.lse.data<Acc<T>>());
  });
}

void run_backward(const AttentionSizes& sizes, const Operands& in, const Heads& dy, const Heads& dq,
                  const Heads& dk, const Heads& dv) {
  dispatch<"attention">(in.q.x, [&]<class T>(auto on) {
    profile::computes(product_flops(sizes, 5));  // scores again, their gradients, dq, dk, dv
    attention_backward<T>(on, sizes, in.q.rows<const T>(), in.k.rows<const T>(), in.v.rows<const T>(),
                          in.y.rows<const T>(), dy.rows<const T>(), in.lse.data<Acc<T>>(), dq.rows<T>(),
                          dk.rows<T>(), dv.rows<T>());
  });
}

AttentionSizes complete(const char* op, AttentionSizes sizes, const AttentionOptions& options) {
  check(sizes.D > 0, op, ": the head size is 0");
  check(sizes.Tk > 0 || sizes.Tq == 0, op, ": there are no keys");
  check(!options.causal || sizes.Tk >= sizes.Tq, op, ": causal needs at least as many keys as queries, not ",
        sizes.Tk, " for ", sizes.Tq);
  sizes.causal = options.causal;
  sizes.scale = options.scale.value_or(1.0 / std::sqrt(static_cast<double>(sizes.D)));
  return sizes;
}

}  // namespace

Tensor attention(const Tensor& q, const Tensor& k, const Tensor& v, AttentionOptions options) {
  check_same_kind("attention", q, k);
  check_same_kind("attention", q, v);
  check(q.rank() == 4 && k.rank() == 4, "attention: needs [B, H, T, D], got ", q.shape(), " and ", k.shape());
  check(k.shape() == v.shape(), "attention: keys ", k.shape(), " and values ", v.shape(), " differ");
  check(q.size(0) == k.size(0) && q.size(3) == k.size(3), "attention: queries ", q.shape(),
        " do not fit keys ", k.shape());
  check(k.size(1) > 0 && q.size(1) % k.size(1) == 0, "attention: ", k.size(1),
        " key/value heads do not divide ", q.size(1), " heads");
  const AttentionSizes sizes = complete(
      "attention",
      {.B = q.size(0), .H = q.size(1), .G = k.size(1), .Tq = q.size(2), .Tk = k.size(2), .D = q.size(3)},
      options);
  Tensor y = empty_heads(q.detach());
  const Tensor lse = empty_lse(q, sizes);
  run_forward(sizes, {heads_of(q.detach()), heads_of(k.detach()), heads_of(v.detach()), heads_of(y), lse});

  return record(
      "attention", y, {q, k, v},
      [sizes, q = save(q), k = save(k), v = save(v), y = save(y), lse](const Tensor& dy, Needs) -> Grads {
        const Tensor dq = empty_heads(q), dk = empty_heads(k), dv = empty_heads(v);
        run_backward(sizes, {heads_of(q), heads_of(k), heads_of(v), heads_of(y), lse}, heads_of(dy),
                     heads_of(dq), heads_of(dk), heads_of(dv));
        return {dq, dk, dv};
      });
}

Tensor packed_attention(const Tensor& qkv_in, int64_t heads, int64_t kv_heads, AttentionOptions options) {
  check_defined("packed_attention", qkv_in);
  check(heads > 0 && kv_heads > 0 && heads % kv_heads == 0, "packed_attention: ", kv_heads,
        " key/value heads do not divide ", heads, " heads");
  const int64_t H = heads, G = kv_heads;
  check(qkv_in.rank() == 3 && qkv_in.size(2) % (H + 2 * G) == 0, "packed_attention: ", qkv_in.shape(),
        " is not [B, T, (", H, " + 2 ", G, ") D]");
  const int64_t B = qkv_in.size(0), T = qkv_in.size(1), D = qkv_in.size(2) / (H + 2 * G);
  const AttentionSizes sizes =
      complete("packed_attention", {.B = B, .H = H, .G = G, .Tq = T, .Tk = T, .D = D}, options);
  const Tensor qkv = qkv_in.strides().back() == 1 ? qkv_in.detach() : dense(qkv_in);
  Tensor y = Tensor::empty({B, T, H * D}, kind(qkv));
  const Tensor lse = empty_lse(qkv, sizes);
  const auto operands = [H, G, D](const Tensor& qkv, const Tensor& y, const Tensor& lse) -> Operands {
    return {packed_heads(qkv, 0, D), packed_heads(qkv, H, D), packed_heads(qkv, H + G, D),
            packed_heads(y, 0, D), lse};
  };
  run_forward(sizes, operands(qkv, y, lse));

  return record("packed_attention", y, {qkv_in},
                [sizes, operands, qkv = save(qkv), y = save(y), lse](const Tensor& dy_in, Needs) -> Grads {
                  const Tensor dy = dense(dy_in);
                  const Tensor dqkv = Tensor::empty(qkv->shape(), kind(qkv));
                  const Operands d = operands(dqkv, dy, lse);
                  run_backward(sizes, operands(qkv, y, lse), d.y, d.q, d.k, d.v);
                  return {dqkv};
                });
}

}  // namespace galvan
