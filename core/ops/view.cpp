// Views: the same memory under other sizes and strides. No kernel runs, but for slice's backward and where
// reshape must copy.
#include <algorithm>

#include "core/autograd.h"
#include "core/dispatch.h"

namespace galvan {
namespace {

// The strides with which x's memory reads as `shape`, or none. Runs of x's dimensions that lie dense can be
// cut anew.
std::optional<Strides> strides_as(const Tensor& x, const Shape& shape) {
  if (x.is_contiguous() || x.numel() == 0) return contiguous_strides(shape);
  Shape sizes;  // x's, without dimensions of size 1, whose strides mean nothing
  Strides steps;
  for (int i = 0; i < x.rank(); ++i) {
    if (x.shape()[i] == 1) continue;
    sizes.push_back(x.shape()[i]);
    steps.push_back(x.strides()[i]);
  }
  Strides strides = shape;
  int to = shape.rank() - 1;
  int from = sizes.rank() - 1;
  while (from >= 0) {
    // The longest dense run of x's dimensions that ends at `from`.
    int64_t stride = steps[from];
    int64_t run = sizes[from];
    for (; from > 0 && steps[from - 1] == steps[from] * sizes[from]; --from) run *= sizes[from - 1];
    --from;
    // The new dimensions that it is cut into.
    while (to >= 0 && (run > 1 || shape[to] == 1)) {
      if (run % shape[to] != 0) return {};
      strides[to] = stride;
      stride *= shape[to];
      run /= shape[to];
      --to;
    }
    if (run != 1) return {};
  }
  for (; to >= 0; --to) strides[to] = 1;
  return strides;
}

}  // namespace

Tensor Tensor::reshape(const Shape& wanted) const {
  check_defined("reshape", *this);
  Shape target = wanted;
  int64_t known = 1;
  int free = -1;
  for (int i = 0; i < target.rank(); ++i) {
    if (target[i] == -1 && free < 0) {
      free = i;
    } else {
      check(target[i] >= 0, "reshape: cannot make ", wanted, " of ", shape());
      known *= target[i];
    }
  }
  if (free >= 0) {
    check(known > 0 && numel() % known == 0, "reshape: cannot make ", wanted, " of ", shape());
    target[free] = numel() / known;
  }
  check(target.numel() == numel(), "reshape: cannot make ", wanted, " of ", shape());
  const auto strides = strides_as(*this, target);
  if (!strides) return clone().reshape(target);
  return record("reshape", make_view(*this, target, *strides, impl_->offset), {*this},
                [from = shape()](const Tensor& dy, Needs) -> Grads { return {dy.reshape(from)}; });
}

Tensor Tensor::permute(const std::vector<int>& dims) const {
  check_defined("permute", *this);
  check(static_cast<int>(dims.size()) == rank(), "permute: ", dims.size(), " dimensions given for shape ",
        shape());
  Shape sizes = shape();
  Strides steps = strides();
  std::vector<int> inverse(dims.size(), -1);
  for (int i = 0; i < rank(); ++i) {
    const int dim = wrap_dim("permute", dims[i], rank());
    check(inverse[dim] < 0, "permute: dimension ", dim, " is named twice");
    inverse[dim] = i;
    sizes[i] = shape()[dim];
    steps[i] = strides()[dim];
  }
  return record("permute", make_view(*this, sizes, steps, impl_->offset), {*this},
                [inverse](const Tensor& dy, Needs) -> Grads { return {dy.permute(inverse)}; });
}

Tensor Tensor::transpose(int dim0, int dim1) const {
  check_defined("transpose", *this);
  std::vector<int> dims(rank());
  for (int i = 0; i < rank(); ++i) dims[i] = i;
  std::swap(dims[wrap_dim("transpose", dim0, rank())], dims[wrap_dim("transpose", dim1, rank())]);
  return permute(dims);
}

Tensor Tensor::slice(int dim, int64_t begin, int64_t end, int64_t step) const {
  check_defined("slice", *this);
  dim = wrap_dim("slice", dim, rank());
  const int64_t length = shape()[dim];
  if (begin < 0) begin += length;
  if (end < 0) end += length;
  check(begin >= 0 && begin <= end && end <= length && step >= 1, "slice: ", begin, ":", end, ":", step,
        " does not fit dimension ", dim, " of ", shape());
  Shape sizes = shape();
  Strides steps = strides();
  sizes[dim] = (end - begin + step - 1) / step;
  steps[dim] *= step;
  return record("slice", make_view(*this, sizes, steps, impl_->offset + begin * strides()[dim]), {*this},
                [from = shape(), dim, begin, end, step](const Tensor& dy, Needs) -> Grads {
                  Tensor dx = zeros(from, {.dtype = dy.dtype(), .device = dy.device()});
                  dx.slice(dim, begin, end, step).copy_(dy);
                  return {dx};
                });
}

Tensor Tensor::select(int dim, int64_t index) const {
  check_defined("select", *this);
  dim = wrap_dim("select", dim, rank());
  const int64_t length = shape()[dim];
  check(index >= -length && index < length, "select: index ", index, " is out of range for dimension ", dim,
        " of ", shape());
  if (index < 0) index += length;
  return slice(dim, index, index + 1).squeeze(dim);
}

Strides broadcast_strides(const Tensor& x, const Shape& shape) {
  Strides steps = shape;
  const int added = shape.rank() - x.rank();
  for (int i = 0; i < shape.rank(); ++i)
    steps[i] = i < added || x.shape()[i - added] != shape[i] ? 0 : x.strides()[i - added];
  return steps;
}

Tensor Tensor::expand(const Shape& target) const {
  check_defined("expand", *this);
  check(broadcast("expand", shape(), target) == target, "expand: shape ", shape(), " does not broadcast to ",
        target);
  return record("expand", make_view(*this, target, broadcast_strides(*this, target), impl_->offset), {*this},
                [from = shape()](const Tensor& dy, Needs) -> Grads { return {sum_to(dy, from)}; });
}

Tensor Tensor::squeeze(int dim) const {
  check_defined("squeeze", *this);
  dim = wrap_dim("squeeze", dim, rank());
  check(shape()[dim] == 1, "squeeze: dimension ", dim, " of ", shape(), " is not 1");
  Shape sizes = shape();
  Strides steps = strides();
  sizes.erase(dim);
  steps.erase(dim);
  return record("squeeze", make_view(*this, sizes, steps, impl_->offset), {*this},
                [dim](const Tensor& dy, Needs) -> Grads { return {dy.unsqueeze(dim)}; });
}

Tensor Tensor::unsqueeze(int dim) const {
  check_defined("unsqueeze", *this);
  dim = wrap_dim("unsqueeze", dim, rank() + 1);
  Shape sizes = shape();
  Strides steps = strides();
  const int64_t stride = dim < rank() ? steps[dim] * sizes[dim] : 1;
  sizes.insert(dim, 1);
  steps.insert(dim, stride);
  return record("unsqueeze", make_view(*this, sizes, steps, impl_->offset), {*this},
                [dim](const Tensor& dy, Needs) -> Grads { return {dy.squeeze(dim)}; });
}

std::vector<Tensor> split(const Tensor& x, int64_t size, int dim) {
  check_defined("split", x);
  check(size > 0, "split: size ", size, " is not positive");
  dim = wrap_dim("split", dim, x.rank());
  std::vector<Tensor> pieces;
  for (int64_t begin = 0; begin < x.size(dim); begin += size)
    pieces.push_back(x.slice(dim, begin, std::min(begin + size, x.size(dim))));
  return pieces;
}

std::vector<Tensor> split(const Tensor& x, const std::vector<int64_t>& sizes, int dim) {
  check_defined("split", x);
  dim = wrap_dim("split", dim, x.rank());
  std::vector<Tensor> pieces;
  int64_t begin = 0;
  for (const int64_t size : sizes) {
    check(size >= 0 && size <= x.size(dim) - begin, "split: a size of ", size, " from ", begin,
          " on does not fit dimension ", dim, " of ", x.shape());
    pieces.push_back(x.slice(dim, begin, begin + size));
    begin += size;
  }
  check(begin == x.size(dim), "split: sizes add up to ", begin, ", not ", x.size(dim));
  return pieces;
}

}  // namespace galvan
