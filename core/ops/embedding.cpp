// Rows picked by their indices.
//   y[o, j, i] = x[o, index[j], i]        dx[o, r, i] = sum over the j with index[j] = r of dy[o, j, i]
// Shapes   x: [outer, rows, inner], index: [picks], y: [outer, picks, inner]
#include "core/autograd.h"
#include "core/kernels.h"

namespace galvan {
namespace {

// Throws unless every index is in [0, rows).
void check_range(const char* op, const Tensor& index, int64_t rows) {
  const int32_t* at = index.data<int32_t>();
  const int64_t n = index.numel();
  bool good = true;
  for (int64_t i = 0; i < n; ++i) good &= at[i] >= 0 && at[i] < rows;
  if (good) return;
  int64_t bad = 0;
  while (at[bad] >= 0 && at[bad] < rows) ++bad;
  fail(op, ": index ", at[bad], " at position ", bad, " is out of range for ", rows, " rows");
}

Tensor select(const char* op, const Tensor& x, int dim, const Tensor& index_in, const Shape& shape) {
  check(index_in.dtype() == DType::i32, op, ": index must be i32, not ", index_in.dtype());
  const Tensor index = dense(index_in);
  const int64_t rows = x.shape()[dim], picks = index.numel();
  check_range(op, index, rows);
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
