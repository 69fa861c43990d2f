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

// y = x, of one dtype, both dense, on two devices.
void copy_bytes([[maybe_unused]] const Tensor& x, [[maybe_unused]] const Tensor& y) {
#ifdef GALVAN_CUDA
  const auto at = [](const Tensor& t) {
    return static_cast<char*>(t.impl()->storage->data()) + t.impl()->offset * size_of(t.dtype());
  };
  cuda_backend::copy(at(y), y.device(), at(x), x.device(), x.numel() * size_of(x.dtype()));
#endif
}

// y = x, element by element; shapes and devices are equal.
void copy_values(const Tensor& x, const Tensor& y) {
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
  const Tensor detached = source.detach().to(device());
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
  if (to == device()) return *this;
  const Tensor x = dense(*this), y = empty(shape(), {.dtype = dtype(), .device = to});
  copy_bytes(x, y);
  return record("to", y, {*this},
                [from = device()](const Tensor& dy, Needs) -> Grads { return {dy.to(from)}; });
}

Tensor Tensor::clone() const {
  check_defined("clone", *this);
  Tensor y = empty_like(*this);
  copy_values(*this, y);
  return record("clone", y, {*this}, [](const Tensor& dy, Needs) -> Grads { return {dy}; });
}

Tensor Tensor::contiguous() const { return is_contiguous() ? *this : clone(); }

}  // namespace galvan
