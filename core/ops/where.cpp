// Selection: where, masked_fill, tril.
#include "core/ops/pointwise.h"

namespace galvan {
namespace {

// condition ? a : b, not recorded.
template <OpName kOp>
Tensor select(const Tensor& condition, const Tensor& a, const Tensor& b) {
  check_defined(kOp.text, condition);
  check_same_kind(kOp.text, a, b);
  check(condition.dtype() == DType::boolean, kOp.text, ": the condition is ", condition.dtype(),
        ", not bool");
  check(condition.device() == a.device(), kOp.text, ": devices differ, ", condition.device(), " and ",
        a.device());
  const Shape shape = broadcast(kOp.text, condition.shape(), broadcast(kOp.text, a.shape(), b.shape()));
  Tensor y = Tensor::empty(shape, {.dtype = a.dtype(), .device = a.device()});
  dispatch<kOp>(a, [&]<class T>(auto on) {
    where<T>(on, condition.data<bool>(), broadcast_strides(condition, shape), a.data<T>(),
             broadcast_strides(a, shape), b.data<T>(), broadcast_strides(b, shape), y.data<T>(), shape);
  });
  return y;
}

Tensor scalar_like(const Tensor& x, double value) {
  return Tensor::full({}, value, {.dtype = x.dtype(), .device = x.device()});
}

}  // namespace

Tensor where(const Tensor& condition, const Tensor& a, const Tensor& b) {
  return record(
      "where", select<"where">(condition, a, b), {condition, a, b},
      [condition = save(condition), a = a.shape(), b = b.shape()](const Tensor& dy, Needs needs) -> Grads {
        const Tensor zero = scalar_like(dy, 0.0);
        return {Tensor(), needs[1] ? sum_to(select<"where">(condition, dy, zero), a) : Tensor(),
                needs[2] ? sum_to(select<"where">(condition, zero, dy), b) : Tensor()};
      });
}

Tensor masked_fill(const Tensor& x, const Tensor& mask, double value) {
  check_scalar("masked_fill", x, value);
  Tensor y = select<"masked_fill">(mask, scalar_like(x, value), x);
  return record("masked_fill", y, {x}, [mask = save(mask), x = x.shape()](const Tensor& dy, Needs) -> Grads {
    return {sum_to(masked_fill(dy, mask, 0.0), x)};
  });
}

Tensor tril(const Tensor& x, int64_t diagonal) {
  check_defined("tril", x);
  check(x.rank() >= 2, "tril: needs at least 2 dimensions, got shape ", x.shape());
  const Tensor in = dense(x);
  Tensor y = Tensor::empty_like(x);
  const int64_t rows = x.size(-2), columns = x.size(-1), matrix = rows * columns;
  dispatch<"tril">(x, [&]<class T>(auto on) {
    tril<T>(on, in.data<T>(), y.data<T>(), matrix > 0 ? x.numel() / matrix : 0, rows, columns, diagonal);
  });
  return record("tril", y, {x},
                [diagonal](const Tensor& dy, Needs) -> Grads { return {tril(dy, diagonal)}; });
}

}  // namespace galvan
