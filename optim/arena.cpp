#include "optim/arena.h"

#include <algorithm>
#include <set>

#include "core/autograd.h"
#include "core/check.h"

namespace galvan {

ParameterArena::ParameterArena(const std::vector<NamedTensor>& parameters) {
  constexpr int64_t kAlign = 64;  // elements: every segment starts at a cache line, whatever the dtype
  NoGrad guard;
  check(!parameters.empty(), "optimizer: got no parameters");
  std::set<std::string> names;
  std::set<const TensorImpl*> tensors;
  int64_t total = 0;
  for (const auto& [name, tensor] : parameters) {
    check(tensor.defined() && tensor.is_leaf() && tensor.requires_grad(), "optimizer: parameter ", name,
          " is not a leaf that requires a gradient");
    const DType dtype = parameters[0].second.dtype();
    check(tensor.dtype() == dtype, "optimizer: parameter ", name, " is ", tensor.dtype(), ", the others are ",
          dtype);
    check(names.insert(name).second && tensors.insert(tensor.impl().get()).second, "optimizer: parameter ",
          name, " is given twice");
    segments_.push_back({.name = name, .parameter = tensor, .begin = total, .size = tensor.numel()});
    for (int64_t begin = 0; begin < tensor.numel(); begin += kPiece)
      pieces_.push_back({.begin = total + begin,
                         .segment = static_cast<int32_t>(segments_.size()) - 1,
                         .size = static_cast<int32_t>(std::min(kPiece, tensor.numel() - begin))});
    total += (tensor.numel() + kAlign - 1) / kAlign * kAlign;
  }

  const TensorOptions options{.dtype = parameters[0].second.dtype(), .device = parameters[0].second.device()};
  parameters_ = Tensor::zeros({total}, options);
  gradients_ = Tensor::zeros({total}, options);
  for (const Segment& segment : segments_) {
    TensorImpl& impl = *segment.parameter.impl();
    const Tensor place = view(parameters_, segment);
    place.copy_(segment.parameter.detach());
    impl.storage = place.impl()->storage;
    impl.offset = segment.begin;
    impl.strides = contiguous_strides(impl.shape);
    impl.grad_buffer = view(gradients_, segment);
    if (impl.grad.defined()) {
      impl.grad_buffer.copy_(impl.grad);
      impl.grad = impl.grad_buffer;
    }
  }
  masters_ = options.dtype == DType::bf16 ? parameters_.to(DType::f32) : parameters_;
}

Tensor ParameterArena::make_state() const {
  return Tensor::zeros({elements()}, {.dtype = masters_.dtype(), .device = masters_.device()});
}

Tensor ParameterArena::view(const Tensor& block, const Segment& segment) const {
  const Shape& shape = segment.parameter.shape();
  return make_view(block, shape, contiguous_strides(shape), segment.begin);
}

}  // namespace galvan
