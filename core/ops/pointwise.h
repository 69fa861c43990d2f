// What the pointwise ops share: from tensors to the kernels `unary` and `binary`.
#pragma once

#include <cmath>

#include "core/autograd.h"
#include "core/kernels.h"
#include "core/pointwise.h"

namespace galvan {

// A scalar must be expressible in x's dtype: "add: 0.5 is not a whole number that fits i32".
inline void check_scalar(const char* op, const Tensor& x, double c) {
  check_defined(op, x);
  check(x.dtype() != DType::i32 || (std::fabs(c) <= 0x1p31 && c != 0x1p31 && c == std::floor(c)), op, ": ", c,
        " is not a whole number that fits i32");
  check(x.dtype() != DType::boolean || !types_of(op).contains(DType::boolean) || c == 0.0 || c == 1.0, op,
        ": ", c, " is neither 0 nor 1, but x is bool");
}

// f(x), not recorded.
template <OpName kOp, class F>
Tensor map(const Tensor& x, F f) {
  check_defined(kOp.text, x);
  Tensor y = Tensor::empty_like(x);
  const Tensor in = dense(x);
  dispatch<kOp>(x, [&]<class T>(auto on) { unary<F, T>(on, f, in.data<T>(), y.data<T>(), x.numel()); });
  return y;
}

// f(a, b) after broadcasting, not recorded.
template <OpName kOp, class F>
Tensor map(const Tensor& a, const Tensor& b, F f) {
  check_same_kind(kOp.text, a, b);
  const Shape shape = broadcast(kOp.text, a.shape(), b.shape());
  Tensor y = Tensor::empty(shape, {.dtype = a.dtype(), .device = a.device()});
  const Strides a_strides = broadcast_strides(a, shape), b_strides = broadcast_strides(b, shape);
  dispatch<kOp>(a, [&]<class T>(auto on) {
    binary<F, T, T>(on, f, a.data<T>(), a_strides, b.data<T>(), b_strides, y.data<T>(), shape);
  });
  return y;
}

// f(x), recorded; F has a derivative.
template <OpName kOp, class F>
Tensor differentiable(const Tensor& x, F f) {
  check_defined(kOp.text, x);
  const Tensor in = dense(x);
  Tensor y = map<kOp>(in, f);
  return record(
      kOp.text, y, {x}, [f, saved = save(F::kFromOutput ? y : in)](const Tensor& upstream, Needs) -> Grads {
        const Tensor dy = dense(upstream);
        Tensor dx = Tensor::empty_like(dy);
        dispatch<kOp>(dy, [&]<class T>(auto on) {
          if constexpr (is_floating(dtype_of<T>))
            unary_backward<F, T>(on, f, saved->template data<T>(), dy.data<T>(), dx.data<T>(), dy.numel());
        });
        return {dx};
      });
}

}  // namespace galvan
