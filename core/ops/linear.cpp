// y = x weight^T + bias
//   dx = dy weight        dweight = dy^T x        dbias = sum_n dy[n]
// y = linear(h, down, down_bias), h = gelu(z), z = linear(x, up, up_bias)
//   dz = (dy down) gelu'(z)        dup_bias = sum_n dz[n]        the others as in linear
// Shapes   x: [N, in], y: [N, out], weight: [out, in], bias: [out]; N is all of x's leading dimensions
#include <tuple>
#include <utility>

#include "core/autograd.h"
#include "core/ops/products.h"

namespace galvan {
namespace {

void multiply(const Tensor& a, const Tensor& b, bool transpose_b, const Tensor& bias, const Tensor& c) {
  dispatch<"linear">(c,
                     [&]<class T>(auto on) { gemm(on, product_of<T>(a, false, b, transpose_b, bias, c)); });
}

Shape with_last(Shape shape, int64_t size) {
  shape[shape.rank() - 1] = size;
  return shape;
}

TensorOptions kind(const Tensor& x) { return {.dtype = x.dtype(), .device = x.device()}; }

// {dy^T x, the sums of dy's columns}, for the inputs `weight` and `bias`; without the first, x may be undefined.
std::pair<Tensor, Tensor> parameter_gradients(const Tensor& dy, const Tensor& x, const Needs& needs,
                                              size_t weight, size_t bias) {
  const int64_t rows = dy.size(0), out = dy.size(1);
  const Tensor dweight = needs.grad_place(weight, dy.device()), dbias = needs.grad_place(bias, dy.device());
  if (!dbias.defined()) {
    if (dweight.defined()) weight_gradient(dy, x, dweight);
    return {dweight, dbias};
  }
  dispatch<"linear">(dy, [&]<class T>(auto on) {
    if (dweight.defined()) {
      gemm_column_sums(on, product_of<T>(dy, true, x, false, {}, dweight), dbias.data<T>());
    } else {
      sum<T>(on, dy.data<T>(), dbias.data<T>(), 1, rows, out, 1.0);
    }
  });
  return {dweight, dbias};
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
  Tensor y = Tensor::empty(with_last(x.shape(), out), kind(x));
  multiply(rows_of(x), dense(weight), true, bias.defined() ? dense(bias) : bias, rows_of(y));

  const auto backward = [x = save(x), weight = save(weight)](const Tensor& dy_in, Needs needs,
                                                             bool has_bias) {
    const Tensor dy = rows_of(dy_in);
    Grads grads(has_bias ? 3 : 2);
    if (needs[0]) {
      grads[0] = Tensor::empty(x->shape(), kind(x));
      multiply(dy, dense(weight), false, {}, rows_of(grads[0]));
    }
    if (has_bias) {
      std::tie(grads[1], grads[2]) = parameter_gradients(dy, needs[1] ? rows_of(x) : Tensor(), needs, 1, 2);
    } else if (needs[1]) {
      grads[1] = needs.grad_place(1, dy.device());
      weight_gradient(dy, rows_of(x), grads[1]);
    }
    return grads;
  };
  if (!bias.defined())
    return record("linear", y, {x, weight},
                  [backward](const Tensor& dy, Needs needs) -> Grads { return backward(dy, needs, false); });
  return record("linear", y, {x, weight, bias},
                [backward](const Tensor& dy, Needs needs) -> Grads { return backward(dy, needs, true); });
}

Tensor gelu_mlp(const Tensor& x, const Tensor& up, const Tensor& up_bias, const Tensor& down,
                const Tensor& down_bias) {
  const char* op = "gelu_mlp";
  for (const Tensor* parameter : {&up, &up_bias, &down, &down_bias}) check_same_kind(op, x, *parameter);
  check(up.rank() == 2 && down.rank() == 2, op, ": weights must be [out, in], got ", up.shape(), " and ",
        down.shape());
  check(x.rank() >= 1 && x.size(-1) == up.size(1) && up.size(0) == down.size(1), op,
        ": inner dimensions differ, ", x.shape(), " @ ", up.shape(), " transposed @ ", down.shape(),
        " transposed");
  check(up_bias.shape() == Shape{up.size(0)} && down_bias.shape() == Shape{down.size(0)}, op, ": biases ",
        up_bias.shape(), " and ", down_bias.shape(), " do not fit weights ", up.shape(), " and ",
        down.shape());
  const Tensor in = rows_of(x), first_bias = dense(up_bias);
  const Tensor h = Tensor::empty({in.size(0), up.size(0)}, kind(x)), kept = Tensor::empty_like(h);
  dispatch<"gelu_mlp">(h, [&]<class T>(auto on) {
    gemm_gelu(on, product_of<T>(in, false, dense(up), true, first_bias, h), kept.data<T>());
  });
  Tensor y = Tensor::empty(with_last(x.shape(), down.size(0)), kind(x));
  multiply(h, dense(down), true, dense(down_bias), rows_of(y));

  const auto backward = [x = save(x), up = save(up), up_bias = save(first_bias), down = save(down), h, kept](
                            const Tensor& dy_in, Needs needs) -> Grads {
    const Tensor dy = rows_of(dy_in);
    Grads grads(5);
    std::tie(grads[3], grads[4]) = parameter_gradients(dy, h, needs, 3, 4);
    if (!needs[0] && !needs[1] && !needs[2]) return grads;
    const int64_t rows = h.size(0), hidden = h.size(1);
    const Tensor dz = Tensor::empty_like(h);
    grads[2] = needs.grad_place(2, dy.device());
    dispatch<"gelu_mlp">(dz, [&]<class T>(auto on) {
      const Tensor partial =
          Tensor::empty({row_blocks(rows), hidden}, {.dtype = dtype_of<Acc<T>>, .device = dy.device()});
      gemm_gelu_backward(on, product_of<T>(dy, false, dense(down), false, {}, dz), up_bias->data<T>(),
                         kept.data<T>(), grads[2].defined() ? grads[2].data<T>() : nullptr,
                         partial.data<Acc<T>>());
    });
    if (needs[0]) {
      grads[0] = Tensor::empty(x->shape(), kind(x));
      multiply(dz, dense(up), false, {}, rows_of(grads[0]));
    }
    if (needs[1]) {
      grads[1] = needs.grad_place(1, dy.device());
      weight_gradient(dz, rows_of(x), grads[1]);
    }
    return grads;
  };
  return record(op, y, {x, up, up_bias, down, down_bias}, backward);
}

}  // namespace galvan
