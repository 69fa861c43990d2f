// Rows picked by their indices.
//   y[b, t] = weight[index[b, t]] + positions[first + t]        dpositions[first + t] = sum_b dy[b, t]
//   y[o, j, i] = x[o, index[j], i]        dx[o, r, i] = sum over the j with index[j] = r of dy[o, j, i]
// Shapes   x: [outer, rows, inner], index: [picks], y: [outer, picks, inner]
#include "core/autograd.h"
#include "core/kernels.h"
#include "core/ops/index.h"

namespace galvan {
namespace {

// dx, for input 0.
Tensor picked_back(const Tensor& dy, const Tensor& index, int64_t outer, int64_t rows, int64_t picks,
                   int64_t inner, const Needs& needs) {
  Tensor dx = needs.grad_sum(0);  // a tied head's
  const bool accumulate = dx.defined();
  if (!accumulate) dx = needs.grad_place(0, dy.device());
  dispatch<"embedding">(dy, [&]<class T>(auto on) {
    select_rows_backward<T>(on, dy.data<T>(), index.data<int32_t>(), dx.data<T>(), outer, rows, picks, inner,
                            accumulate);
  });
  return dx;
}

// The indices, dense, that pick among so many rows of x.
Tensor checked(const char* op, const Tensor& x, int64_t rows, const Tensor& index_in) {
  check(index_in.dtype() == DType::i32, op, ": index must be i32, not ", index_in.dtype());
  check(x.device() == index_in.device(), op, ": devices differ, ", x.device(), " and ", index_in.device());
  const Tensor index = dense(index_in);
  const BadIndex bad = find_bad_index(index, rows);
  check(bad.position < 0, op, ": index ", bad.value, " at position ", bad.position, " is out of range for ",
        rows, " rows");
  return index;
}

Tensor select(const char* op, const Tensor& x, int dim, const Tensor& index_in, const Shape& shape) {
  const int64_t rows = x.shape()[dim], picks = index_in.numel();
  const Tensor index = checked(op, x, rows, index_in);
  int64_t outer = 1, inner = 1;
  for (int i = 0; i < dim; ++i) outer *= x.shape()[i];
  for (int i = dim + 1; i < x.rank(); ++i) inner *= x.shape()[i];

  Tensor y = Tensor::empty(shape, {.dtype = x.dtype(), .device = x.device()});
  const Tensor source = dense(x);
  dispatch<"index_select">(x, [&]<class T>(auto on) {
    select_rows<T>(on, source.data<T>(), index.data<int32_t>(), y.data<T>(), outer, rows, picks, inner);
  });
  return record(op, y, {x},
                [index = save(index), outer, rows, picks, inner](const Tensor& dy_in, Needs needs) -> Grads {
                  const Tensor dy = dense(dy_in);
                  return {picked_back(dy, index, outer, rows, picks, inner, needs)};
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

Tensor embedding_at(const Tensor& weight, const Tensor& positions, const Tensor& indices_any, int64_t first) {
  const char* op = "embedding_at";
  check_same_kind(op, weight, positions);
  check_defined(op, indices_any);
  check(weight.rank() == 2 && positions.rank() == 2 && weight.size(1) == positions.size(1), op,
        ": weight and positions must be [.., C], got ", weight.shape(), " and ", positions.shape());
  check(indices_any.rank() == 2, op, ": indices must be [B, T], got ", indices_any.shape());
  const int64_t B = indices_any.size(0), T = indices_any.size(1), C = weight.size(1);
  check(first >= 0 && first + T <= positions.size(0), op, ": positions ", first, " to ", first + T, " of ",
        positions.size(0));
  const Tensor indices = checked(op, weight, weight.size(0), indices_any), rows = dense(weight);
  const Tensor places = dense(positions.detach().slice(0, first, first + T));
  Tensor y = Tensor::empty({B, T, C}, {.dtype = weight.dtype(), .device = weight.device()});
  dispatch<"embedding_at">(weight, [&]<class E>(auto on) {
    embed<E>(on, rows.data<E>(), places.data<E>(), indices.data<int32_t>(), y.data<E>(), B, T, C);
  });
  const auto backward = [indices = save(indices), vocab = weight.size(0), all = positions.size(0), first, B,
                         T, C](const Tensor& dy_in, Needs needs) -> Grads {
    const Tensor dy = dense(dy_in);
    Grads grads(2);
    if (needs[0]) grads[0] = picked_back(dy, indices, 1, vocab, B * T, C, needs);
    if (!needs[1]) return grads;
    grads[1] = needs.grad_place(1, dy.device());
    if (T < all) grads[1].zero_();
    dispatch<"embedding_at">(dy, [&]<class E>(auto on) {
      sum<E>(on, dy.data<E>(), grads[1].data<E>() + first * C, 1, B, T * C, 1.0);
    });
    return grads;
  };
  return record(op, y, {weight, positions}, backward);
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
