// Reverse-mode automatic differentiation over a graph recorded while ops run.
//
// An op computes its output y, then records a closure that returns the gradients of its inputs:
//
//   Tensor square(const Tensor& x) {
//     Tensor y = mul(x.detach(), x.detach());
//     return record("square", y, {x},  // dx = 2 x dy
//                   [x = save(x)](const Tensor& dy, Needs) -> Grads { return {mul(dy, mul(x, 2.0))}; });
//   }
//
// The engine does the bookkeeping: it adds up gradients of a tensor that is used more than once (out of
// place, since a gradient may be shared), calls nothing whose result nobody needs, and checks the shape and
// dtype of every gradient it is given. Summing a broadcast operand's gradient back to its shape is the op's
// work (sum_to, core/ops.h). Closures run with recording off. A graph is freed as backward walks it.
//
// Source: Baydin et al., "Automatic Differentiation in Machine Learning: a Survey", JMLR 2018, section 3.2.
#pragma once

#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "core/tensor.h"

namespace galvan {

// One gradient for each input, in order; undefined where the input needs none.
using Grads = std::vector<Tensor>;

// Where a node's gradients go: to the output of another node, or into a leaf.
struct Edge {
  std::shared_ptr<Node> node;
  int output = 0;
  std::shared_ptr<TensorImpl> leaf;
  Shape shape;  // the input's, which its gradient must have
  DType dtype = DType::f32;

  bool needed() const { return node || leaf; }
};

// Tells a backward closure which inputs need a gradient: needs[0].
class Needs {
 public:
  explicit Needs(std::span<const Edge> edges) : edges_(edges) {}
  bool operator[](size_t input) const { return edges_[input].needed(); }
  // A dense tensor to write an input's gradient to, and to return: for a leaf that owns a place for its gradient and has
  // none yet, that place, so that no copy is needed; else a new one on `device`. Undefined where none is needed.
  Tensor grad_place(size_t input, Device device) const;
  // For a leaf whose place has been lent and holds a gradient of this backward already: that place. Add to it, and
  // return it. Undefined otherwise.
  Tensor grad_sum(size_t input) const;

 private:
  std::span<const Edge> edges_;
};

// A recorded op.
class Node {
 public:
  Node(const char* op, std::span<const Tensor> inputs, std::span<const Tensor> outputs);
  virtual ~Node();
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;

  // Gradients of the inputs from those of the outputs (undefined: that output was not used).
  virtual Grads backward(std::span<const Tensor> dys) = 0;
  // Drops the closure with all it holds; backward is not called again.
  virtual void release() = 0;

  const char* op;
  int64_t order;  // nodes are numbered as they are made: an input's node has a smaller number
  std::vector<Edge> edges;
  struct Output {
    Shape shape;
    DType dtype;
    Device device;
    std::vector<std::function<Tensor(const Tensor&)>> hooks;
  };
  std::vector<Output> outputs;
  bool released = false;
};

// Whether ops record what they do, in this thread.
bool grad_enabled();

// Recording is off while one of these lives.
class NoGrad {
 public:
  NoGrad();
  ~NoGrad();
  NoGrad(const NoGrad&) = delete;
  NoGrad& operator=(const NoGrad&) = delete;

 private:
  bool before_;
};

// Recording is on while one of these lives (inside a NoGrad: to recompute a block).
class EnableGrad {
 public:
  EnableGrad();
  ~EnableGrad();
  EnableGrad(const EnableGrad&) = delete;
  EnableGrad& operator=(const EnableGrad&) = delete;

 private:
  bool before_;
};

// A tensor kept for the backward. It converts to the tensor, or throws when the tensor has been written in
// place since: "mul: its backward needs a tensor [2, 3] that has been written in place since". Detached, so
// that an op may save its own output without a cycle.
class Saved {
 public:
  explicit Saved(const Tensor& x);
  operator const Tensor&() const { return get(); }
  const Tensor& operator*() const { return get(); }
  const Tensor* operator->() const { return &get(); }
  const Tensor& get() const;

 private:
  Tensor tensor_;
  int64_t version_ = 0;
};
inline Saved save(const Tensor& x) { return Saved(x); }

namespace autograd {

// Whether dy is the 1 that backward() of a scalar begins with, in the pass that runs: multiplying by it is for nothing.
bool is_seed(const Tensor& dy);
bool any_requires_grad(std::span<const Tensor> inputs);
void attach(std::shared_ptr<Node> node, std::span<Tensor> outputs);
// Every op's outputs pass through here: where a search for the first bad value looks (see AnomalyGuard). Views show
// what is in their input, and are passed by.
void inspect(const char* op, std::span<const Tensor> inputs, std::span<const Tensor> outputs);

template <class F>
class NodeOf final : public Node {
 public:
  NodeOf(const char* op, std::span<const Tensor> inputs, std::span<const Tensor> outputs, F backward)
      : Node(op, inputs, outputs), backward_(std::make_unique<F>(std::move(backward))) {}
  Grads backward(std::span<const Tensor> dys) override {
    if constexpr (std::is_invocable_v<F&, std::span<const Tensor>, Needs>) {
      return (*backward_)(dys, Needs(edges));
    } else {
      return (*backward_)(dys[0], Needs(edges));
    }
  }
  void release() override { backward_.reset(); }

 private:
  std::unique_ptr<F> backward_;
};

}  // namespace autograd

// Records that `outputs` were computed from `inputs`. backward(std::span<const Tensor> dys, Needs) -> Grads.
// `op` must be a string literal. The outputs must be fresh tensors (not inputs).
template <class F>
void record_outputs(const char* op, std::span<Tensor> outputs, std::span<const Tensor> inputs, F backward) {
  autograd::inspect(op, inputs, outputs);
  if (!grad_enabled() || !autograd::any_requires_grad(inputs)) return;
  auto node = std::make_shared<autograd::NodeOf<F>>(op, inputs, outputs, std::move(backward));
  autograd::attach(std::move(node), outputs);
}

// The same for the usual single output, which it returns. backward(const Tensor& dy, Needs) -> Grads.
template <class F>
Tensor record(const char* op, Tensor y, std::initializer_list<Tensor> inputs, F backward) {
  record_outputs(op, std::span(&y, 1), std::span(inputs.begin(), inputs.size()), std::move(backward));
  return y;
}

// For an op that has no backward: throws when a gradient would be lost,
// "OP: has no backward, and an input requires a gradient".
struct NoBackward {};
Tensor record(const char* op, Tensor y, std::initializer_list<Tensor> inputs, NoBackward);

struct BackwardOptions {
  bool retain_graph = false;  // keep the graph, for another backward through it
};

// Adds the gradients of sum_i <outputs[i], upstream[i]> to the grad() of every leaf that requires one. An
// undefined upstream stands for 1 and needs a one-element output.
void backward(std::span<const Tensor> outputs, std::span<const Tensor> upstream,
              BackwardOptions options = {});

// The same gradients with respect to `inputs` (leaves or not), returned; no grad() changes. Undefined for an
// input that no output depends on.
Grads grad(std::span<const Tensor> outputs, std::span<const Tensor> inputs,
           std::span<const Tensor> upstream = {}, BackwardOptions options = {});

// Runs `block` without keeping what its backward needs, and runs it again during backward: memory for time.
// Dropout masks are the same both times. For backward(), not grad(). Tensors that the block uses without being
// passed in `inputs` must be leaves (parameters). Source: Chen et al., "Training Deep Nets with Sublinear
// Memory Cost", arXiv:1604.06174.
Tensor checkpoint(std::function<Tensor(std::span<const Tensor>)> block, std::vector<Tensor> inputs);

// While one of these lives, every op's output and every gradient is searched for NaN and infinity, and the
// first found throws Error: "softmax: its output [12, 4, 64, 64] holds NaN" or "backward of softmax: ...".
// Slow: for finding what went wrong.
class AnomalyGuard {
 public:
  AnomalyGuard();
  ~AnomalyGuard();
  AnomalyGuard(const AnomalyGuard&) = delete;
  AnomalyGuard& operator=(const AnomalyGuard&) = delete;
};

}  // namespace galvan
