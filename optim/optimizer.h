// What SGD, Adam and AdamW share: the arena, the gradient norm, skipping, state.
//
//   SGD sgd(model.parameters(), {.lr = 0.1, .momentum = 0.9});
//   loss.backward();
//   sgd.step({.lr = schedule.at(k).lr, .clip_norm = 1.0});
//   sgd.zero_grad();
//
// A parameter that has no gradient is left alone, as in PyTorch: no decay, no momentum.
#pragma once

#include <optional>
#include <vector>

#include "core/kernels.h"
#include "optim/arena.h"

namespace galvan {

// Parameters that are treated alike.
struct ParameterGroup {
  std::vector<NamedTensor> parameters;
  std::optional<double> weight_decay = {};  // in place of the optimizer's
  std::optional<double> momentum = {};      // likewise; beta1 of Adam
  std::optional<double> beta2 = {};         // likewise, Adam's alone
  double lr_scale = 1.0;                    // times the learning rate
};

// Tensors of two and more dimensions, and the rest (biases, norms) without decay.
std::vector<ParameterGroup> decay_matrices_only(const std::vector<NamedTensor>& parameters);

struct StepOptions {
  std::optional<double> lr = {};        // of this step, in place of the optimizer's
  std::optional<double> momentum = {};  // of this step and every group; beta1 of Adam
  double grad_scale = 1.0;              // gradients are multiplied by it first (1 / number of micro-batches)
  double clip_norm = 0.0;  // 0: no clipping. Otherwise gradients are scaled by min(1, clip / (norm + 1e-6))
  bool skip_non_finite = false;  // change nothing when the gradient norm is NaN or infinite
};

struct StepResult {
  double grad_norm = 0.0;  // sqrt(sum of squares) over all gradients, scaled, before clipping
  bool applied = true;
};

class Optimizer {
 public:
  virtual ~Optimizer() = default;
  Optimizer(const Optimizer&) = delete;
  Optimizer& operator=(const Optimizer&) = delete;

  // One update of every parameter that has a gradient. Throws when lr or momentum is negative, when a momentum is
  // given to an optimizer made without, and when another optimizer has taken the parameters over.
  StepResult step(const StepOptions& options = {});
  // Makes every parameter's grad() undefined; the next backward overwrites the memory.
  void zero_grad();
  // sqrt(sum of squares) over all gradients: the same number in every run, whatever the number of threads.
  double grad_norm() const;

  // "sgd", "adam", "adamw".
  virtual const char* name() const = 0;
  double lr() const { return lr_; }
  // The optimizer's own momentum, or beta1.
  double momentum() const { return momentum_; }

  // Everything that a resumed run needs, by name: "momentum.NAME", "exp_avg.NAME", "master.NAME", "updates".
  // The tensors are views: copy them to keep them.
  std::vector<NamedTensor> state() const;
  // Throws when a name or a shape is not this optimizer's: "optimizer state: momentum.w is [2], should be
  // [3]".
  void load_state(const std::vector<NamedTensor>& state);

  const ParameterArena& arena() const { return arena_; }

 protected:
  Optimizer(std::vector<ParameterGroup> groups, double lr, double momentum, double weight_decay,
            std::vector<std::string> state_names);

  // What one parameter's update works with.
  struct Hyper {
    double lr, momentum, weight_decay, grad_scale;
    int64_t updates;  // how often it has been updated, this time counted
  };
  // Of a segment; without its parameters.
  const ParameterGroup& group(int segment) const { return groups_[group_of_[segment]]; }
  // The momentum a segment has where a step names none.
  double own_momentum(int segment) const { return group(segment).momentum.value_or(momentum_); }
  // Works out the coefficients of a segment, once a step.
  virtual void prepare(int segment, const Hyper& hyper) = 0;
  // Updates one piece of it.
  virtual void update(const ParameterArena::Piece& piece) = 0;

  template <class T>
  UpdatePiece<T> piece_of(const ParameterArena::Piece& piece) const {
    const auto state = [&](size_t i) {
      return i < states_.size() ? states_[i].template data<Acc<T>>() + piece.begin : nullptr;
    };
    return {.weight = arena_.parameters().data<T>() + piece.begin,
            .master = arena_.masters().data<Acc<T>>() + piece.begin,
            .grad = arena_.gradients().data<T>() + piece.begin,
            .state0 = state(0),
            .state1 = state(1),
            .n = piece.size};
  }

 private:
  std::vector<NamedTensor> state_views() const;

  ParameterArena arena_;
  std::vector<int> group_of_;  // by segment
  std::vector<ParameterGroup> groups_;
  double lr_, momentum_, weight_decay_;
  std::vector<std::string> state_names_;
  std::vector<Tensor> states_;
  std::vector<int64_t> updates_;               // by segment
  mutable std::vector<double> partial_norms_;  // by piece
};

// For gradients outside an optimizer: scales them in place so that their global norm is at most max_norm, and
// returns the norm before (torch.nn.utils.clip_grad_norm_).
double clip_grad_norm_(const std::vector<NamedTensor>& parameters, double max_norm);

}  // namespace galvan
