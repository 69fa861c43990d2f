// A tensor: a typed, strided view of a block of memory on a device, and a place in the autograd graph.
//
// A Tensor is a handle: copies share the data, as PyTorch's do. Views (reshape, transpose, slice, ...) share
// the memory too, without a copy. Sizes and strides count elements; indices are 64-bit.
//
//   Tensor x = Tensor::uniform({2, 3}, {.seed = 1});
//   Tensor y = matmul(x, x.transpose(0, 1));             // [2, 2]
//   std::cout << y.shape() << ' ' << y << '\n';
#pragma once

#include <functional>
#include <iosfwd>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "core/device.h"
#include "core/dtype.h"
#include "core/random.h"
#include "core/shape.h"

namespace galvan {

class Node;
struct TensorImpl;

// A block of memory. `version` counts the in-place writes to it, so that a backward that needs an old value
// can tell.
class Storage {
 public:
  Storage(int64_t bytes, Device device);
  ~Storage();
  Storage(const Storage&) = delete;
  Storage& operator=(const Storage&) = delete;

  void* data() const { return data_; }
  int64_t bytes() const { return bytes_; }
  Device device() const { return device_; }

  int64_t version = 0;

 private:
  void* data_;
  int64_t bytes_;
  Device device_;
};

struct TensorOptions {
  DType dtype = DType::f32;
  Device device = kCpu;
};

struct UniformOptions {
  double low = 0.0;
  double high = 1.0;
  uint64_t seed = 0;
  std::string_view stream = "uniform";
  TensorOptions tensor = {};
};

struct NormalOptions {
  double mean = 0.0;
  double stddev = 1.0;
  uint64_t seed = 0;
  std::string_view stream = "normal";
  TensorOptions tensor = {};
};

class Tensor {
 public:
  Tensor() = default;  // undefined: no shape, no data

  // Factories. Random values depend on seed, stream and element alone; they are drawn on the CPU, then
  // copied.
  static Tensor empty(const Shape& shape, TensorOptions options = {});  // contents unspecified
  static Tensor empty_like(const Tensor& other);                        // dense, same shape, dtype and device
  static Tensor zeros(const Shape& shape, TensorOptions options = {});
  static Tensor ones(const Shape& shape, TensorOptions options = {});
  static Tensor full(const Shape& shape, double value, TensorOptions options = {});
  static Tensor arange(int64_t end, TensorOptions options = {.dtype = DType::i32});  // 0, 1, ..., end - 1
  static Tensor uniform(const Shape& shape, UniformOptions options = {});            // in [low, high)
  static Tensor normal(const Shape& shape, NormalOptions options = {});              // Box-Muller
  // Copies `values` in row-major order, converting them to the dtype; their number must be the shape's.
  template <class T>
  static Tensor from(std::span<const T> values, const Shape& shape,
                     TensorOptions options = {.dtype = dtype_of<T>});
  template <class T>
  static Tensor from(const std::vector<T>& values, const Shape& shape,
                     TensorOptions options = {.dtype = dtype_of<T>}) {
    return from(std::span<const T>(values), shape, options);
  }

  bool defined() const { return impl_ != nullptr; }
  const Shape& shape() const;
  const Strides& strides() const;
  int rank() const { return shape().rank(); }
  int64_t size(int dim) const;  // negative dimensions count from the end
  int64_t numel() const { return shape().numel(); }
  DType dtype() const;
  Device device() const;
  bool is_contiguous() const;

  // The first element. Elements lie at data<T>()[sum_i index_i * stride_i]. Throws when T is not the dtype's
  // own type: "data: the tensor is i32, not f32".
  template <class T>
  T* data() const;
  // The only element, converted. Throws when there is not exactly one.
  double item() const;
  // All elements in row-major order, converted.
  std::vector<double> to_vector() const;

  // Views: no copy is made, gradients flow through. reshape copies where strides cannot express the new
  // shape; one size may be -1.
  Tensor reshape(const Shape& shape) const;
  Tensor transpose(int dim0, int dim1) const;
  Tensor permute(const std::vector<int>& dims) const;
  Tensor slice(int dim, int64_t begin, int64_t end,
               int64_t step = 1) const;         // negative bounds count from the end
  Tensor select(int dim, int64_t index) const;  // drops the dimension
  Tensor expand(const Shape& shape) const;      // size-1 dimensions repeat, stride 0
  Tensor squeeze(int dim) const;
  Tensor unsqueeze(int dim) const;
  Tensor contiguous() const;  // itself when dense

  // Copies; gradients flow through. to() gives the tensor itself when nothing changes.
  Tensor to(DType dtype) const;
  Tensor to(Device device) const;
  Tensor clone() const;

  // In-place writes; they count up the version. Refused for a tensor that autograd is tracking (use no_grad).
  void copy_(const Tensor& source) const;  // broadcasts, converts, from any device
  void fill_(double value) const;
  void zero_() const { fill_(0.0); }

  // Autograd (core/autograd.h).
  bool requires_grad() const;
  Tensor& set_requires_grad(bool value = true);  // leaves only, floating-point only
  bool is_leaf() const;                          // not computed from anything that requires a gradient
  Tensor grad() const;                           // undefined until backward() has reached this leaf
  void set_grad(const Tensor& grad) const;       // an undefined tensor clears it
  Tensor detach() const;                         // the same data, outside the graph
  void backward() const;                         // a scalar's gradients into the leaves' grad()
  void backward(const Tensor& upstream) const;
  // Called with this tensor's gradient when backward has it whole; returns it, or another in its place.
  void register_hook(std::function<Tensor(const Tensor&)> hook) const;

  const std::shared_ptr<TensorImpl>& impl() const { return impl_; }
  explicit Tensor(std::shared_ptr<TensorImpl> impl) : impl_(std::move(impl)) {}

 private:
  std::shared_ptr<TensorImpl> impl_;
};

// What a handle points to. `node` and `output` say which op computed it; leaves have no node.
struct TensorImpl {
  std::shared_ptr<Storage> storage;
  Shape shape;
  Strides strides;
  int64_t offset = 0;  // elements
  DType dtype = DType::f32;

  bool requires_grad = false;
  std::shared_ptr<Node> node;
  int output = 0;
  Tensor grad;
  Tensor grad_buffer;  // where a leaf's gradient is kept, when somebody (an optimizer's arena) has set a
                       // place aside
  bool grad_buffer_lent = false;                            // a running backward is writing to it
  std::vector<std::function<Tensor(const Tensor&)>> hooks;  // of a leaf; those of others are the node's
};

using NamedTensor = std::pair<std::string, Tensor>;

// A view of the same storage, outside the graph.
Tensor make_view(const Tensor& base, const Shape& shape, const Strides& strides, int64_t offset);

// The strides with which x reads as `shape`, to which it broadcasts: 0 where an element repeats.
Strides broadcast_strides(const Tensor& x, const Shape& shape);

// Notes an in-place write to x; throws when autograd is tracking x.
void note_write(const char* op, const Tensor& x);

// "[[1, 2], [3, 4]]", numbers to six digits, long dimensions abbreviated.
std::ostream& operator<<(std::ostream& out, const Tensor& x);

}  // namespace galvan
