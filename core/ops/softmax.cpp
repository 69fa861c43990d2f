// softmax and log_softmax.
#include "core/autograd.h"
#include "core/kernels.h"

namespace galvan {
namespace {

// The rows of a dense tensor: its last dimension.
struct Rows {
  int64_t rows, columns;
  explicit Rows(const Tensor& x)
      : rows(x.shape().back() > 0 ? x.numel() / x.shape().back() : 0), columns(x.shape().back()) {}
};

// x with `dim` as its last dimension, dense.
Tensor rows_along(const char* op, const Tensor& x, int dim) {
  check_defined(op, x);
  check(x.rank() > 0, op, ": needs at least 1 dimension, got a scalar");
  dim = wrap_dim(op, dim, x.rank());
  return (dim == x.rank() - 1 ? x : x.transpose(dim, -1)).contiguous();
}

// The result back in x's order of dimensions.
Tensor back_in_order(const Tensor& y, int dim) {
  dim = wrap_dim("transpose", dim, y.rank());
  return dim == y.rank() - 1 ? y : y.transpose(dim, -1);
}

}  // namespace

Tensor softmax(const Tensor& x, int dim) {
  const Tensor in = rows_along("softmax", x, dim);
  const Tensor y = Tensor::empty_like(in);
  const Rows size(in);
  dispatch<"softmax">(in, [&]<class T>(auto on) {
    softmax_forward<T>(on, in.data<T>(), y.data<T>(), size.rows, size.columns);
  });

  // dx = y (dy - sum_k y_k dy_k)
  const auto backward = [y = save(y), size](const Tensor& upstream, Needs) -> Grads {
    const Tensor dy = upstream.contiguous(), dx = Tensor::empty_like(*y);
    dispatch<"softmax">(dy, [&]<class T>(auto on) {
      softmax_backward<T>(on, y->data<T>(), dy.data<T>(), dx.data<T>(), size.rows, size.columns);
    });
    return {dx};
  };
  return back_in_order(record("softmax", y, {in}, backward), dim);
}

Tensor log_softmax(const Tensor& x, int dim) {
  const Tensor in = rows_along("log_softmax", x, dim);
  const Tensor y = Tensor::empty_like(in);
  const Rows size(in);
  dispatch<"log_softmax">(in, [&]<class T>(auto on) {
    log_softmax_forward<T>(on, in.data<T>(), y.data<T>(), size.rows, size.columns);
  });

  // dx = dy - e^y sum_k dy_k
  const auto backward = [y = save(y), size](const Tensor& upstream, Needs) -> Grads {
    const Tensor dy = upstream.contiguous(), dx = Tensor::empty_like(*y);
    dispatch<"log_softmax">(dy, [&]<class T>(auto on) {
      log_softmax_backward<T>(on, y->data<T>(), dy.data<T>(), dx.data<T>(), size.rows, size.columns);
    });
    return {dx};
  };
  return back_in_order(record("log_softmax", y, {in}, backward), dim);
}

}  // namespace galvan
