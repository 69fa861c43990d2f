// Reductions over any dimensions. A kernel reduces the middle dimension of [outer, length, inner]; whatever
// cannot be seen so is first copied with the reduced dimensions last.
#include "core/autograd.h"
#include "core/kernels.h"

namespace galvan {
namespace {

// How an op's reduction reads.
struct Plan {
  Tensor x;  // dense, [outer, length, inner] in row-major order
  int64_t outer = 1, length = 1, inner = 1;
  Shape kept;    // the result's shape with reduced dimensions as 1
  Shape result;  // and as asked for
};

Plan plan_for(const char* op, const Tensor& x, const Over& over) {
  check_defined(op, x);
  std::vector<bool> reduced(x.rank(), over.dims.empty());
  for (int dim : over.dims) {
    dim = wrap_dim(op, dim, x.rank());
    check(!reduced[dim], op, ": dimension ", dim, " is named twice");
    reduced[dim] = true;
  }
  Plan plan;
  plan.x = x;
  std::vector<int> order, last;
  bool seen = false, ended = false, adjacent = true;
  for (int dim = 0; dim < x.rank(); ++dim) {
    const int64_t size = x.shape()[dim];
    plan.kept.push_back(reduced[dim] ? 1 : size);
    if (over.keepdim || !reduced[dim]) plan.result.push_back(plan.kept[dim]);
    (reduced[dim] ? last : order).push_back(dim);
    if (size == 1) continue;
    if (reduced[dim]) {
      plan.length *= size;
      seen = true;
      adjacent = adjacent && !ended;
    } else {
      (seen ? plan.inner : plan.outer) *= size;
      ended = seen;
    }
  }
  if (!adjacent) {
    order.insert(order.end(), last.begin(), last.end());
    plan.x = x.detach().permute(order);
    plan.outer *= plan.inner;
    plan.inner = 1;
  }
  plan.x = dense(plan.x);
  return plan;
}

template <OpName kOp>
Tensor scaled_sum(const Tensor& x, const Plan& plan, const Shape& shape, double scale) {
  Tensor y = Tensor::empty(shape, {.dtype = x.dtype(), .device = x.device()});
  dispatch<kOp>(x, [&]<class T>(auto on) {
    sum<T>(on, plan.x.data<T>(), y.data<T>(), plan.outer, plan.length, plan.inner, scale);
  });
  return y;
}

}  // namespace

Tensor sum(const Tensor& x, const Over& over) {
  const Plan plan = plan_for("sum", x, over);
  return record("sum", scaled_sum<"sum">(x, plan, plan.result, 1.0), {x},
                [from = x.shape(), kept = plan.kept](const Tensor& dy, Needs) -> Grads {
                  return {dy.reshape(kept).expand(from)};
                });
}

Tensor sum_to(const Tensor& x, const Shape& shape) {
  check_defined("sum_to", x);
  if (x.shape() == shape) return x;
  check(broadcast("sum_to", shape, x.shape()) == x.shape(), "sum_to: shape ", shape,
        " does not broadcast to ", x.shape());
  const int added = x.rank() - shape.rank();
  Over over;
  for (int dim = 0; dim < x.rank(); ++dim)
    if (dim < added || shape[dim - added] != x.shape()[dim]) over.dims.push_back(dim);
  const Plan plan = plan_for("sum_to", x, over);
  return record("sum_to", scaled_sum<"sum">(x, plan, shape, 1.0), {x},
                [from = x.shape()](const Tensor& dy, Needs) -> Grads { return {dy.expand(from)}; });
}

}  // namespace galvan
