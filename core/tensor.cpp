#include "core/tensor.h"

#include <cmath>
#include <cstring>
#include <numbers>
#include <ostream>

#include "core/allocator.h"
#include "core/autograd.h"
#include "core/dispatch.h"
#include "core/profile.h"

namespace galvan {

Storage::Storage(int64_t bytes, Device device)
    : data_(allocate_memory(bytes, device)), bytes_(bytes), device_(device) {}

Storage::~Storage() { free_memory(data_, bytes_, device_); }

Tensor make_view(const Tensor& base, const Shape& shape, const Strides& strides, int64_t offset) {
  auto impl = std::make_shared<TensorImpl>();
  impl->storage = base.impl()->storage;
  impl->shape = shape;
  impl->strides = strides;
  impl->offset = offset;
  impl->dtype = base.dtype();
  return Tensor(std::move(impl));
}

void note_write(const char* op, const Tensor& x) {
  check(!grad_enabled() || !x.requires_grad(), op,
        ": in-place write to a tensor that requires a gradient; do it under NoGrad or on detach()");
  ++x.impl()->storage->version;
}

Tensor Tensor::empty(const Shape& shape, TensorOptions options) {
  int64_t numel = 1;
  for (int64_t size : shape) {
    check(size >= 0, "empty: negative size in ", shape);
    check(!__builtin_mul_overflow(numel, size, &numel) && numel < (int64_t{1} << 59), "empty: ", shape,
          " has too many elements");
  }
  auto impl = std::make_shared<TensorImpl>();
  impl->storage = std::make_shared<Storage>(numel * size_of(options.dtype), options.device);
  impl->shape = shape;
  impl->strides = contiguous_strides(shape);
  impl->dtype = options.dtype;
  return Tensor(std::move(impl));
}

Tensor Tensor::empty_like(const Tensor& other) {
  return empty(other.shape(), {.dtype = other.dtype(), .device = other.device()});
}

Tensor Tensor::zeros(const Shape& shape, TensorOptions options) { return full(shape, 0.0, options); }
Tensor Tensor::ones(const Shape& shape, TensorOptions options) { return full(shape, 1.0, options); }

Tensor Tensor::full(const Shape& shape, double value, TensorOptions options) {
  Tensor y = empty(shape, options);
  y.fill_(value);
  return y;
}

Tensor Tensor::arange(int64_t end, TensorOptions options) {
  check(end >= 0, "arange: negative end ", end);
  std::vector<double> values(static_cast<size_t>(end));
  for (int64_t i = 0; i < end; ++i) values[i] = static_cast<double>(i);
  return from(values, {end}, options);
}

Tensor Tensor::uniform(const Shape& shape, UniformOptions options) {
  const RandomStream random{.seed = options.seed, .stream = stream_of(options.stream)};
  std::vector<double> values(static_cast<size_t>(shape.numel()));
  for (size_t i = 0; i < values.size(); ++i)
    values[i] = options.low + (options.high - options.low) * uniform_from(random.words(i / 4)[i % 4]);
  return from(values, shape, options.tensor);
}

Tensor Tensor::normal(const Shape& shape, NormalOptions options) {
  const RandomStream random{.seed = options.seed, .stream = stream_of(options.stream)};
  std::vector<double> values(static_cast<size_t>(shape.numel()));
  for (size_t i = 0; i < values.size(); i += 2) {  // two words make two normals (Box & Muller 1958)
    const Philox4 words = random.words(i / 4);
    const double u = (words[i % 4] + 0.5) * 0x1p-32, v = (words[i % 4 + 1] + 0.5) * 0x1p-32;
    const double radius = std::sqrt(-2.0 * std::log(u)), angle = 2.0 * std::numbers::pi * v;
    values[i] = options.mean + options.stddev * radius * std::cos(angle);
    if (i + 1 < values.size()) values[i + 1] = options.mean + options.stddev * radius * std::sin(angle);
  }
  return from(values, shape, options.tensor);
}

template <class T>
Tensor Tensor::from(std::span<const T> values, const Shape& shape, TensorOptions options) {
  check(static_cast<int64_t>(values.size()) == shape.numel(), "from: ", values.size(),
        " values given for shape ", shape);
  Tensor y = empty(shape, {.dtype = dtype_of<T>});
  if (!values.empty()) std::memcpy(y.data<T>(), values.data(), values.size_bytes());
  return y.to(options.dtype).to(options.device);
}
template Tensor Tensor::from(std::span<const float>, const Shape&, TensorOptions);
template Tensor Tensor::from(std::span<const double>, const Shape&, TensorOptions);
template Tensor Tensor::from(std::span<const bfloat16>, const Shape&, TensorOptions);
template Tensor Tensor::from(std::span<const int32_t>, const Shape&, TensorOptions);
template Tensor Tensor::from(std::span<const bool>, const Shape&, TensorOptions);

const Shape& Tensor::shape() const {
  check_defined("shape", *this);
  return impl_->shape;
}

const Strides& Tensor::strides() const {
  check_defined("strides", *this);
  return impl_->strides;
}

int64_t Tensor::size(int dim) const { return shape()[wrap_dim("size", dim, rank())]; }

DType Tensor::dtype() const {
  check_defined("dtype", *this);
  return impl_->dtype;
}

Device Tensor::device() const {
  check_defined("device", *this);
  return impl_->storage->device();
}

bool Tensor::is_contiguous() const {
  int64_t stride = 1;
  for (int i = rank() - 1; i >= 0; --i) {
    if (impl_->shape[i] != 1 && impl_->strides[i] != stride) return numel() == 0;
    stride *= impl_->shape[i];
  }
  return true;
}

namespace {

// Without those that a stride of 0 repeats.
int64_t own_elements(const Tensor& x) {
  int64_t n = 1;
  for (int dim = 0; dim < x.rank(); ++dim)
    if (x.strides()[dim] != 0) n *= x.shape()[dim];
  return n;
}

}  // namespace

template <class T>
T* Tensor::data() const {
  check(dtype() == dtype_of<T>, "data: the tensor is ", dtype(), ", not ", dtype_of<T>);
  T* const first = static_cast<T*>(impl_->storage->data()) + impl_->offset;
  if (profile::t_listener) [[unlikely]]
    profile::t_listener->uses(first, own_elements(*this) * static_cast<int64_t>(sizeof(T)));
  return first;
}
template float* Tensor::data() const;
template double* Tensor::data() const;
template bfloat16* Tensor::data() const;
template int32_t* Tensor::data() const;
template bool* Tensor::data() const;

std::vector<double> Tensor::to_vector() const {
  NoGrad guard;
  const Tensor dense = to(kCpu).to(DType::f64).contiguous();
  return {dense.data<double>(), dense.data<double>() + dense.numel()};
}

double Tensor::item() const {
  check_defined("item", *this);
  check(numel() == 1, "item: shape ", shape(), " has ", numel(), " elements, not 1");
  return to_vector()[0];
}

bool Tensor::requires_grad() const { return defined() && impl_->requires_grad; }

Tensor& Tensor::set_requires_grad(bool value) {
  check_defined("set_requires_grad", *this);
  check(is_leaf(), "set_requires_grad: the tensor ", shape(), " is not a leaf; detach() it first");
  check(!value || is_floating(dtype()), "set_requires_grad: a tensor of ", dtype(), " has no gradient");
  impl_->requires_grad = value;
  return *this;
}

bool Tensor::is_leaf() const { return !defined() || !impl_->node; }

Tensor Tensor::grad() const {
  check_defined("grad", *this);
  return impl_->grad;
}

void Tensor::set_grad(const Tensor& grad) const {
  check_defined("set_grad", *this);
  check(!grad.defined() || (grad.shape() == shape() && grad.dtype() == dtype() && grad.device() == device()),
        "set_grad: the gradient does not fit ", shape());
  impl_->grad = grad;
}

Tensor Tensor::detach() const {
  check_defined("detach", *this);
  return make_view(*this, shape(), strides(), impl_->offset);
}

void Tensor::backward() const { backward(Tensor()); }

void Tensor::backward(const Tensor& upstream) const {
  galvan::backward(std::span(this, 1), std::span(&upstream, 1));
}

void Tensor::register_hook(std::function<Tensor(const Tensor&)> hook) const {
  check(requires_grad(), "register_hook: the tensor does not require a gradient");
  auto& hooks = impl_->node ? impl_->node->outputs[impl_->output].hooks : impl_->hooks;
  hooks.push_back(std::move(hook));
}

namespace {

constexpr int64_t kEdgeItems = 3;  // printed at each end of a dimension longer than kLongest
constexpr int64_t kLongest = 10;

void print(std::ostream& out, const Tensor& x, DType dtype) {
  if (x.rank() == 0) {
    const double value = x.item();
    if (dtype == DType::boolean) {
      out << (value != 0 ? "true" : "false");
    } else {
      out << (std::isnan(value) ? std::abs(value) : value);  // no "-nan"
    }
    return;
  }
  out << '[';
  const int64_t n = x.size(0);
  for (int64_t i = 0; i < n; ++i) {
    if (i > 0) out << (x.rank() > 1 ? ",\n " : ", ");
    if (n > kLongest && i == kEdgeItems) {
      out << "..., ";
      i = n - kEdgeItems;
    }
    print(out, x.select(0, i), dtype);
  }
  out << ']';
}

}  // namespace

std::ostream& operator<<(std::ostream& out, const Tensor& x) {
  if (!x.defined()) return out << "undefined";
  NoGrad guard;
  print(out, x.to(kCpu), x.dtype());
  return out;
}

}  // namespace galvan
