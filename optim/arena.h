// All parameters of a model in one block of memory, their gradients in a second, optimizer state in further
// ones, so that an update is one flat pass.
//
// Making an arena moves the parameters into it: their values are kept, and each tensor's storage becomes a
// piece of the arena. backward() then leaves gradients in the gradient block (TensorImpl::grad_buffer). A
// model belongs to one arena at a time; a later one takes the parameters over.
#pragma once

#include <vector>

#include "core/kernels.h"
#include "core/tensor.h"

namespace galvan {

class ParameterArena {
 public:
  // One parameter's place: elements [begin, begin + size) of every block.
  struct Segment {
    std::string name;
    Tensor parameter;
    int64_t begin = 0;
    int64_t size = 0;
  };
  // The most elements of a piece.
  static constexpr int64_t kPiece = 1 << 14;

  // All must be leaves that require a gradient, of one floating-point dtype, with different names. Throws
  // naming the one that is not.
  explicit ParameterArena(const std::vector<NamedTensor>& parameters);

  const std::vector<Segment>& segments() const { return segments_; }
  const std::vector<UpdatePiece>& pieces() const { return pieces_; }
  DType dtype() const { return parameters_.dtype(); }
  int64_t elements() const { return parameters_.numel(); }

  const Tensor& parameters() const { return parameters_; }
  const Tensor& gradients() const { return gradients_; }
  // Of bfloat16 parameters an f32 copy, which updates work on; otherwise the parameters themselves. A parameter that
  // somebody writes (a loaded checkpoint) is taken over by its next update.
  const Tensor& masters() const { return masters_; }
  // A block of zeros as long as the others, in the masters' dtype.
  Tensor make_state() const;
  // The piece of `block` that belongs to a segment, in the parameter's shape.
  Tensor view(const Tensor& block, const Segment& segment) const;

 private:
  std::vector<Segment> segments_;
  std::vector<UpdatePiece> pieces_;
  Tensor parameters_, gradients_, masters_;
};

}  // namespace galvan
