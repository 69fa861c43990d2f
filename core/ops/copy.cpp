// copy_, fill_ and the conversions: dtype, device, dense, clone.
#include "core/autograd.h"
#include "core/kernels.h"

namespace galvan {
namespace {

template <class T>
T converted(double value) {
  if constexpr (std::is_same_v<T, bfloat16>) {
    return bfloat16(static_cast<float>(value));
  } else {
    return static_cast<T>(value);
  }
}

// y = x, element by element; the shapes are equal.
void copy_values(const Tensor& x, const Tensor& y) {
  check(x.device() == y.device(), "copy: devices differ, ", x.device(), " and ", y.device());
  dispatch<"copy">(x, [&]<class From>(auto on) {
    dispatch<"copy">(y, [&]<class To>(auto) {
      strided_copy<From, To>(on, x.data<From>(), x.strides(), y.data<To>(), y.strides(), x.shape());
    });
  });
}

}  // namespace

void Tensor::copy_(const Tensor& source) const {
  check_defined("copy_", *this);
  check_defined("copy_", source);
  note_write("copy_", *this);
  check(!grad_enabled() || !source.requires_grad(),
        "copy_: would drop the gradient of its source; detach it first");
  check(broadcast("copy_", shape(), source.shape()) == shape(), "copy_: shape ", source.shape(),
        " does not broadcast to ", shape());
  const Tensor detached = source.detach();
  copy_values(detached.shape() == shape() ? detached : detached.expand(shape()), *this);
}

void Tensor::fill_(double value) const {
  check_defined("fill_", *this);
  note_write("fill_", *this);
  dispatch<"fill">(
      *this, [&]<class T>(auto on) { fill<T>(on, data<T>(), strides(), shape(), converted<T>(value)); });
}

Tensor Tensor::to(DType to) const {
  check_defined("to", *this);
  if (to == dtype()) return *this;
  Tensor y = empty(shape(), {.dtype = to, .device = device()});
  copy_values(*this, y);
  if (!is_floating(to)) return y;
  return record("to", y, {*this},
                [from = dtype()](const Tensor& dy, Needs) -> Grads { return {dy.to(from)}; });
}

Tensor Tensor::to(Device to) const {
  check_defined("to", *this);
  check(to == device(), "to: no backend for ", to, " in this build");
  return *this;
}

Tensor Tensor::clone() const {
  check_defined("clone", *this);
  Tensor y = empty_like(*this);
  copy_values(*this, y);
  return record("clone", y, {*this}, [](const Tensor& dy, Needs) -> Grads { return {dy}; });
}

Tensor Tensor::contiguous() const { return is_contiguous() ? *this : clone(); }

}  // namespace galvan
