// y = x weight^T + bias
//   dx = dy weight        dweight = dy^T x        dbias = sum_n dy[n]
// Shapes   x: [N, in], y: [N, out], weight: [out, in], bias: [out]; N is all of x's leading dimensions
#include "core/autograd.h"
#include "core/kernels.h"

namespace galvan {
namespace {

// c = op(a) op(b) [+ bias], all dense matrices.
void multiply(const Tensor& a, bool transpose_a, const Tensor& b, bool transpose_b, const Tensor& bias,
              const Tensor& c) {
  dispatch<"linear">(c, [&]<class T>(auto on) {
    gemm(on, Gemm<T, T>{.m = c.size(0),
                        .n = c.size(1),
                        .k = a.size(transpose_a ? 0 : 1),
                        .a = a.data<T>(),
                        .lda = a.size(1),
                        .transpose_a = transpose_a,
                        .b = b.data<T>(),
                        .ldb = b.size(1),
                        .transpose_b = transpose_b,
                        .c = c.data<T>(),
                        .ldc = c.size(1),
                        .bias = bias.defined() ? bias.data<T>() : nullptr});
  });
}

// [.., C] as a dense matrix [N, C].
Tensor rows_of(const Tensor& x) {
  const int64_t columns = x.shape().back();
  return dense(x).detach().reshape({columns == 0 ? 0 : x.numel() / columns, columns});
}

Shape with_last(Shape shape, int64_t size) {
  shape[shape.rank() - 1] = size;
  return shape;
}

}  // namespace

Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias) {
  check_same_kind("linear", x, weight);
  check(weight.rank() == 2, "linear: weight must be [out, in], got ", weight.shape());
  check(x.rank() >= 1 && x.size(-1) == weight.size(1), "linear: inner dimensions differ, ", x.shape(),
        " @ weight ", weight.shape(), " transposed");
  const int64_t out = weight.size(0);
  if (bias.defined()) {
    check_same_kind("linear", x, bias);
    check(bias.shape() == Shape{out}, "linear: bias ", bias.shape(), " does not fit weight ", weight.shape());
  }
  Tensor y = Tensor::empty(with_last(x.shape(), out), {.dtype = x.dtype(), .device = x.device()});
  multiply(rows_of(x), false, dense(weight), true, bias.defined() ? dense(bias) : bias, rows_of(y));

  const auto backward = [x = save(x), weight = save(weight)](const Tensor& dy_in, Needs needs,
                                                             bool has_bias) {
    const Tensor dy = rows_of(dy_in);
    Grads grads(has_bias ? 3 : 2);
    if (needs[0]) {
      grads[0] = Tensor::empty(x->shape(), {.dtype = x->dtype(), .device = x->device()});
      multiply(dy, false, dense(weight), false, {}, rows_of(grads[0]));
    }
    if (needs[1]) {
      grads[1] = needs.grad_buffer(1);
      if (!grads[1].defined()) grads[1] = Tensor::empty_like(weight);
      multiply(dy, true, rows_of(x), false, {}, grads[1]);
    }
    if (has_bias && needs[2]) {
      const int64_t rows = dy.size(0), out = dy.size(1);
      grads[2] = needs.grad_buffer(2);
      if (!grads[2].defined() || !grads[2].is_contiguous())
        grads[2] = Tensor::empty({out}, {.dtype = dy.dtype(), .device = dy.device()});
      dispatch<"linear">(
          dy, [&]<class T>(auto on) { sum<T>(on, dy.data<T>(), grads[2].data<T>(), 1, rows, out, 1.0); });
    }
    return grads;
  };
  if (!bias.defined())
    return record("linear", y, {x, weight},
                  [backward](const Tensor& dy, Needs needs) -> Grads { return backward(dy, needs, false); });
  return record("linear", y, {x, weight, bias},
                [backward](const Tensor& dy, Needs needs) -> Grads { return backward(dy, needs, true); });
}

}  // namespace galvan
