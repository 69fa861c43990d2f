// y[i][j] = x[i][index[i][j]] for dim = 1: one element of a line along `dim` for each index.
#include "core/autograd.h"
#include "core/kernels.h"
#include "core/ops/index.h"

namespace galvan {

Tensor gather(const Tensor& x, int dim, const Tensor& index_in) {
  check_defined("gather", x);
  check_defined("gather", index_in);
  check(index_in.dtype() == DType::i32, "gather: index must be i32, not ", index_in.dtype());
  check(x.device() == index_in.device(), "gather: devices differ, ", x.device(), " and ", index_in.device());
  dim = wrap_dim("gather", dim, x.rank());
  bool fits = index_in.rank() == x.rank();
  for (int i = 0; fits && i < x.rank(); ++i) fits = i == dim || index_in.shape()[i] <= x.shape()[i];
  check(fits, "gather: index ", index_in.shape(), " does not fit ", x.shape(), " outside dimension ", dim);

  const Tensor index = dense(index_in);
  const BadIndex bad = find_bad_index(index, x.shape()[dim]);
  check(bad.position < 0, "gather: index ", bad.value, " at position ", bad.position,
        " is out of range for dimension ", dim, " of ", x.shape());

  Tensor y = Tensor::empty(index.shape(), {.dtype = x.dtype(), .device = x.device()});
  dispatch<"gather">(x, [&]<class T>(auto on) {
    gather<T>(on, x.data<T>(), x.strides(), index.data<int32_t>(), y.data<T>(), index.shape(), dim);
  });
  return record("gather", y, {x},
                [index = save(index), from = x.shape(), dim](const Tensor& dy_in, Needs) -> Grads {
                  const Tensor dy = dense(dy_in);
                  Tensor dx = Tensor::zeros(from, {.dtype = dy.dtype(), .device = dy.device()});
                  dispatch<"embedding">(dy, [&]<class T>(auto on) {
                    gather_backward<T>(on, dy.data<T>(), index->data<int32_t>(), dx.data<T>(), dx.strides(),
                                       index->shape(), dim);
                  });
                  return {dx};
                });
}

}  // namespace galvan
