// bias_gelu and silu_mul: pointwise compositions in one pass over memory.
#include "core/autograd.h"
#include "core/kernels.h"
#include "core/pointwise.h"

namespace galvan {
namespace {

template <class F>
Tensor bias_gelu_with(F f, const Tensor& x, const Tensor& bias) {
  const Tensor y = Tensor::empty_like(x);
  const int64_t columns = x.shape().back(), rows = columns > 0 ? x.numel() / columns : 0;
  dispatch<"bias_gelu">(x, [&]<class T>(auto on) {
    bias_unary<F, T>(on, f, x.data<T>(), bias.data<T>(), y.data<T>(), rows, columns);
  });

  // dx = dy f'(x + bias), dbias = sum_r dx
  const auto backward = [f, x = save(x), bias = save(bias), rows, columns](const Tensor& upstream,
                                                                           Needs needs) -> Grads {
    const Tensor dy = upstream.contiguous(), dx = Tensor::empty_like(dy);
    const Tensor dbias = needs.grad_place(1, dy.device());
    dispatch<"bias_gelu">(dy, [&]<class T>(auto on) {
      const Tensor partial =
          Tensor::empty({row_blocks(rows), columns}, {.dtype = dtype_of<Acc<T>>, .device = dy.device()});
      bias_unary_backward<F, T>(on, f, x->data<T>(), bias->data<T>(), dy.data<T>(), dx.data<T>(),
                                dbias.defined() ? dbias.data<T>() : nullptr, partial.data<Acc<T>>(), rows,
                                columns);
    });
    return {dx, dbias};
  };
  return record("bias_gelu", y, {x, bias}, backward);
}

}  // namespace

Tensor bias_gelu(const Tensor& x, const Tensor& bias, Gelu form) {
  check_same_kind("bias_gelu", x, bias);
  check(x.rank() > 0, "bias_gelu: needs at least 1 dimension, got a scalar");
  check(bias.shape() == Shape{x.shape().back()}, "bias_gelu: bias ", bias.shape(),
        " does not fit the last dimension of ", x.shape());
  const Tensor in = x.contiguous(), b = bias.contiguous();
  return form == Gelu::tanh ? bias_gelu_with(GeluTanh(), in, b) : bias_gelu_with(GeluExact(), in, b);
}

Tensor silu_mul(const Tensor& gate_any, const Tensor& up_any) {
  check_same_kind("silu_mul", gate_any, up_any);
  check(gate_any.shape() == up_any.shape(), "silu_mul: shapes differ, ", gate_any.shape(), " and ",
        up_any.shape());
  const Tensor gate = gate_any.contiguous(), up = up_any.contiguous(), y = Tensor::empty_like(gate);
  dispatch<"silu_mul">(gate, [&]<class T>(auto on) {
    silu_mul_forward<T>(on, gate.data<T>(), up.data<T>(), y.data<T>(), y.numel());
  });

  // dgate = dy up silu'(gate), dup = dy silu(gate)
  const auto backward = [gate = save(gate), up = save(up)](const Tensor& upstream, Needs) -> Grads {
    const Tensor dy = upstream.contiguous();
    const Tensor dgate = Tensor::empty_like(dy), dup = Tensor::empty_like(dy);
    dispatch<"silu_mul">(dy, [&]<class T>(auto on) {
      silu_mul_backward<T>(on, gate->data<T>(), up->data<T>(), dy.data<T>(), dgate.data<T>(), dup.data<T>(),
                           dy.numel());
    });
    return {dgate, dup};
  };
  return record("silu_mul", y, {gate, up}, backward);
}

}  // namespace galvan
