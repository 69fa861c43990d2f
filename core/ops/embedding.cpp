// Rows picked by their indices.
//   y[o, j, i] = x[o, index[j], i]        dx[o, r, i] = sum over the j with index[j] = r of dy[o, j, i]
// Shapes   x: [outer, rows, inner], index: [picks], y: [outer, picks, inner]
#include "core/autograd.h"
#include "core/kernels.h"
#include "core/ops/index.h"

namespace galvan {
namespace {

Tensor select(const char* op, const Tensor& x, int dim, const Tensor& index_in, const Shape& shape) {
  check(index_in.dtype() == DType::i32, op, ": index must be i32, not ", index_in.dtype());
  check(x.device() == index_in.device(), op, ": devices differ, ", x.device(), " and ", index_in.device());
  const Tensor index = dense(index_in);
  const int64_t rows = x.shape()[dim], picks = index.numel();
  const BadIndex bad = find_bad_index(index, rows);
  check(bad.position < 0, op, ": index ", bad.value, " at position ", bad.position, " is out of range for ",
        rows, " rows");
  int64_t outer = 1, inner = 1;
  for (int i = 0; i < dim; ++i) outer *= x.shape()[i];
  for (int i = dim + 1; i < x.rank(); ++i) inner *= x.shape()[i];

  Tensor y = Tensor::empty(shape, {.dtype = x.dtype(), .device = x.device()});
  const Tensor source = dense(x);
  dispatch<"index_select">(x, [&]<class T>(auto on) {
    select_rows<T>(on, source.data<T>(), index.data<int32_t>(), y.data<T>(), outer, rows, picks, inner);
  });
  return record(op, y, {x},
                [index = save(index), from = x.shape(), outer, rows, picks, inner](const Tensor& dy_in,
                                                                                   Needs needs) -> Grads {
                  const Tensor dy = dense(dy_in);
                  Tensor dx = needs.grad_buffer(0);
                  if (!dx.defined()) dx = Tensor::empty(from, {.dtype = dy.dtype(), .device = dy.device()});
                  dispatch<"embedding">(dy, [&]<class T>(auto on) {
                    select_rows_backward<T>(on, dy.data<T>(), index->data<int32_t>(), dx.data<T>(), outer,
                                            rows, picks, inner);
                  });
                  return {dx};
                });
}

}  // namespace

Tensor embedding(const Tensor& weight, const Tensor& indices) {
  check_defined("embedding", weight);
  check_defined("embedding", indices);
  check(weight.rank() == 2, "embedding: weight must be [V, C], got ", weight.shape());
  check(is_floating(weight.dtype()), "embedding: takes ", list_of(types_of("embedding")), ", not ",
        weight.dtype());
  Shape shape = indices.shape();
  shape.push_back(weight.size(1));
  return select("embedding", weight, 0, indices, shape);
}

Tensor index_select(const Tensor& x, int dim, const Tensor& index) {
  check_defined("index_select", x);
  check_defined("index_select", index);
  dim = wrap_dim("index_select", dim, x.rank());
  check(index.rank() == 1, "index_select: index must be [n], got ", index.shape());
  Shape shape = x.shape();
  shape[dim] = index.numel();
  return select("index_select", x, dim, index, shape);
}

}  // namespace galvan
