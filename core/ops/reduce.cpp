// Reductions over any dimensions. A kernel reduces the middle dimension of [outer, length, inner]; whatever
// cannot be seen so is first copied with the reduced dimensions last.
#include <algorithm>

#include "core/autograd.h"
#include "core/kernels.h"

namespace galvan {
namespace {

// How an op's reduction reads.
struct Plan {
  Tensor x;  // dense, [outer, length, inner] in row-major order
  int64_t outer = 1, length = 1, inner = 1;
  Shape kept;                   // the result's shape with reduced dimensions as 1
  Shape result;                 // and as asked for
  std::vector<int> order = {};  // puts the dimensions of such a copy back; empty when there is none
};

enum class Layout { any, rows };  // rows: with inner = 1

Plan plan_for(const char* op, const Tensor& x, const Over& over, Layout layout = Layout::any) {
  check_defined(op, x);
  std::vector<bool> reduced(x.rank(), over.dims.empty());
  for (int dim : over.dims) {
    dim = wrap_dim(op, dim, x.rank());
    check(!reduced[dim], op, ": dimension ", dim, " is named twice");
    reduced[dim] = true;
  }
  Plan plan;
  plan.x = x;
  std::vector<int> order, last;  // dimensions that are kept, reduced
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
  if (!adjacent || (layout == Layout::rows && plan.inner != 1)) {
    order.insert(order.end(), last.begin(), last.end());
    plan.x = x.detach().permute(order);
    plan.order.resize(order.size());
    for (size_t i = 0; i < order.size(); ++i) plan.order[order[i]] = static_cast<int>(i);
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

Tensor mean(const Tensor& x, const Over& over) {
  const Plan plan = plan_for("mean", x, over);
  const double scale = 1.0 / static_cast<double>(plan.length);
  return record("mean", scaled_sum<"mean">(x, plan, plan.result, scale), {x},
                [from = x.shape(), kept = plan.kept, scale](const Tensor& dy, Needs) -> Grads {
                  return {mul(dy, scale).reshape(kept).expand(from)};
                });
}

Tensor max(const Tensor& x, const Over& over) {
  Plan plan = plan_for("max", x, over);
  check(plan.length > 0, "max: nothing to choose from in shape ", x.shape());
  Tensor y = Tensor::empty(plan.result, {.dtype = x.dtype(), .device = x.device()});
  dispatch<"max">(x, [&]<class T>(auto on) {
    max<T>(on, plan.x.data<T>(), y.data<T>(), plan.outer, plan.length, plan.inner);
  });
  const Saved in = save(plan.x);
  plan.x = Tensor();
  return record("max", y, {x}, [plan, in, y = save(y)](const Tensor& upstream, Needs) -> Grads {
    const Tensor dy = dense(upstream);
    Tensor dx = Tensor::empty(in->shape(), {.dtype = dy.dtype(), .device = dy.device()});
    dispatch<"max">(dy, [&]<class T>(auto on) {
      if constexpr (is_floating(dtype_of<T>))
        max_backward<T>(on, in->template data<T>(), y->template data<T>(), dy.data<T>(), dx.data<T>(),
                        plan.outer, plan.length, plan.inner);
    });
    return {plan.order.empty() ? dx : dx.permute(plan.order)};
  });
}

Tensor argmax(const Tensor& x, std::optional<int> dim, bool keepdim) {
  const Over over{.dims = dim ? std::vector<int>{*dim} : std::vector<int>{}, .keepdim = keepdim};
  const Plan plan = plan_for("argmax", x, over, Layout::rows);
  check(plan.length > 0, "argmax: nothing to choose from in shape ", x.shape());
  check(plan.length < int64_t{1} << 31, "argmax: an index into ", plan.length, " elements does not fit i32");
  Tensor y = Tensor::empty(plan.result, {.dtype = DType::i32, .device = x.device()});
  dispatch<"argmax">(x, [&]<class T>(auto on) {
    argmax<T>(on, plan.x.data<T>(), y.data<int32_t>(), plan.outer, plan.length);
  });
  return y;
}

// dx = 2 (x - mean) / (n - correction) dy
Tensor var(const Tensor& x, const Over& over, int64_t correction) {
  const Plan plan = plan_for("var", x, over, Layout::rows);
  Tensor y = Tensor::empty(plan.result, {.dtype = x.dtype(), .device = x.device()});
  dispatch<"var">(x, [&]<class T>(auto on) {
    variance<T>(on, plan.x.data<T>(), y.data<T>(), plan.outer, plan.length, correction);
  });
  const double scale = 2.0 / static_cast<double>(std::max<int64_t>(0, plan.length - correction));
  return record("var", y, {x},
                [x = save(x), over, kept = plan.kept, scale](const Tensor& dy, Needs) -> Grads {
                  const Tensor centred = sub(x, mean(x, {.dims = over.dims, .keepdim = true}));
                  return {mul(centred, mul(dy, scale).reshape(kept))};
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
