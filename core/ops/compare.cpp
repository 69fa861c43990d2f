// Comparisons: bool results, no gradient. gt and ge are lt and le the other way round.
#include "core/ops/pointwise.h"

namespace galvan {
namespace {

template <OpName kOp, class F>
Tensor compare(const Tensor& a, const Tensor& b, F f) {
  check_same_kind(kOp.text, a, b);
  const Shape shape = broadcast(kOp.text, a.shape(), b.shape());
  Tensor y = Tensor::empty(shape, {.dtype = DType::boolean, .device = a.device()});
  const Strides a_strides = broadcast_strides(a, shape), b_strides = broadcast_strides(b, shape);
  dispatch<kOp>(a, [&]<class T>(auto on) {
    binary<F, T, bool>(on, f, a.data<T>(), a_strides, b.data<T>(), b_strides, y.data<bool>(), shape);
  });
  return y;
}

}  // namespace

Tensor eq(const Tensor& a, const Tensor& b) { return compare<"eq">(a, b, Equal()); }
Tensor ne(const Tensor& a, const Tensor& b) { return compare<"ne">(a, b, NotEqual()); }
Tensor lt(const Tensor& a, const Tensor& b) { return compare<"lt">(a, b, Less()); }
Tensor le(const Tensor& a, const Tensor& b) { return compare<"le">(a, b, LessEqual()); }
Tensor gt(const Tensor& a, const Tensor& b) { return compare<"gt">(b, a, Less()); }
Tensor ge(const Tensor& a, const Tensor& b) { return compare<"ge">(b, a, LessEqual()); }

}  // namespace galvan
