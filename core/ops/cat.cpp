// Joining: each tensor is copied into its slice of the result, and the gradient's slices are views.
#include "core/autograd.h"
#include "core/dispatch.h"

namespace galvan {

Tensor cat(const std::vector<Tensor>& xs, int dim) {
  check(!xs.empty(), "cat: needs at least 1 tensor");
  check_defined("cat", xs[0]);
  check(xs[0].rank() >= 1, "cat: needs at least 1 dimension, got a scalar");
  dim = wrap_dim("cat", dim, xs[0].rank());
  Shape shape = xs[0].shape();
  shape[dim] = 0;
  std::vector<int64_t> ends;
  for (const Tensor& x : xs) {
    check_same_kind("cat", xs[0], x);
    bool fits = x.rank() == shape.rank();
    for (int i = 0; fits && i < shape.rank(); ++i) fits = i == dim || x.shape()[i] == shape[i];
    check(fits, "cat: shapes ", xs[0].shape(), " and ", x.shape(), " differ outside dimension ", dim);
    shape[dim] += x.shape()[dim];
    ends.push_back(shape[dim]);
  }
  Tensor y = Tensor::empty(shape, {.dtype = xs[0].dtype(), .device = xs[0].device()});
  for (size_t i = 0; i < xs.size(); ++i)
    y.slice(dim, i == 0 ? 0 : ends[i - 1], ends[i]).copy_(xs[i].detach());
  record_outputs("cat", std::span(&y, 1), std::span(xs),
                 [dim, ends](std::span<const Tensor> dys, Needs needs) -> Grads {
                   Grads grads(ends.size());
                   for (size_t i = 0; i < ends.size(); ++i)
                     if (needs[i]) grads[i] = dys[0].slice(dim, i == 0 ? 0 : ends[i - 1], ends[i]);
                   return grads;
                 });
  return y;
}

Tensor stack(const std::vector<Tensor>& xs, int dim) {
  check(!xs.empty(), "stack: needs at least 1 tensor");
  std::vector<Tensor> slices;
  for (const Tensor& x : xs) {
    check_same_kind("stack", xs[0], x);
    check(x.shape() == xs[0].shape(), "stack: shapes ", xs[0].shape(), " and ", x.shape(), " differ");
    slices.push_back(x.unsqueeze(dim));
  }
  return cat(slices, dim);
}

}  // namespace galvan
