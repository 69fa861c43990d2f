// The optimizers' arithmetic, written once for both devices: a rule works out a segment's coefficients, in
// double, and an update moves one weight with them. Formulas: optim/sgd.h, optim/adam.h.
#pragma once

#include <cmath>
#include <cstdint>

#include "core/dtype.h"
#include "core/step_control.h"

namespace galvan {

// What a segment (one parameter's part of the arena) has of its own.
struct SegmentOptions {
  double lr_scale = 1;
  double weight_decay = 0;
  double momentum = 0;  // where a step names none; beta1 of Adam
  double beta2 = 0;     // Adam's alone
};

// What one segment's update is worked out from.
struct UpdateInputs {
  double lr;
  double momentum;
  double grad_scale;
  int64_t updates;  // how often it has been updated, this time counted
};

GALVAN_HD inline UpdateInputs inputs_of(const StepDecision& d, const SegmentOptions& segment,
                                        int32_t updates) {
  return {.lr = d.lr * segment.lr_scale,
          .momentum = d.momentum >= 0 ? d.momentum : segment.momentum,
          .grad_scale = d.grad_scale,
          .updates = updates};
}

// The updates: each gives the new weight for weight w and its gradient, and changes the state, of which it has
// kStates numbers an element.

template <class M>
struct PlainUpdate {
  static constexpr int kStates = 0;
  M scale, decay, lr;

  GALVAN_HD M operator()(M w, M grad, M*) const { return w - lr * (grad * scale + decay * w); }
};

template <class M>
struct MomentumUpdate {
  static constexpr int kStates = 1;
  M scale, decay, momentum, gain, rate;

  GALVAN_HD M operator()(M w, M grad, M* state) const {
    const M b = momentum * state[0] + gain * (grad * scale + decay * w);
    state[0] = b;
    return w - rate * b;
  }
};

template <class M>
struct NesterovUpdate {
  static constexpr int kStates = 1;
  M scale, decay, momentum, gain, rate, direct, nesterov;

  GALVAN_HD M operator()(M w, M grad, M* state) const {
    const M g = grad * scale + decay * w;
    const M b = momentum * state[0] + gain * g;
    state[0] = b;
    return w - rate * (direct * g + nesterov * b);
  }
};

template <class M>
struct AdamUpdate {
  static constexpr int kStates = 2;
  M scale, decay, weight_decay, beta1, one_beta1, beta2, one_beta2, step_size, root, eps;

  GALVAN_HD M operator()(M w, M grad, M* state) const {
    const M g = grad * scale + weight_decay * w;
    const M m = beta1 * state[0] + one_beta1 * g;
    const M v = beta2 * state[1] + one_beta2 * g * g;
    state[0] = m;
    state[1] = v;
    return w * decay - step_size * m / (std::sqrt(v) * root + eps);
  }
};

enum class SgdForm : int32_t { plain, momentum, nesterov };

struct SgdRule {
  double dampening;
  bool nesterov;
  bool maximize;
  bool lr_inside;  // Caffe's form: the buffer holds lr g

  template <class M>
  struct Coefficients {
    NesterovUpdate<M> c;  // has what the other forms need
    SgdForm form;

    // run(update), the update being of the segment's form.
    template <class F>
    GALVAN_HD void with_update(const F& run) const {
      if (form == SgdForm::plain) {
        run(PlainUpdate<M>{c.scale, c.decay, c.rate});
      } else if (form == SgdForm::momentum) {
        run(MomentumUpdate<M>{c.scale, c.decay, c.momentum, c.gain, c.rate});
      } else {
        run(c);
      }
    }
  };

  template <class M>
  GALVAN_HD Coefficients<M> coefficients(const SegmentOptions& segment, const UpdateInputs& in) const {
    const bool first = in.updates == 1;
    const bool has_momentum = segment.momentum > 0, inside = lr_inside && has_momentum;
    const double again = nesterov ? in.momentum : 0.0;  // the momentum once more in the direction
    const double gain = first ? 1.0 : 1.0 - dampening;
    return {.c = {.scale = static_cast<M>(maximize ? -in.grad_scale : in.grad_scale),
                  .decay = static_cast<M>(segment.weight_decay),
                  .momentum = static_cast<M>(first ? 0.0 : in.momentum),
                  .gain = static_cast<M>(inside ? in.lr * gain : gain),
                  .rate = static_cast<M>(inside ? 1.0 : in.lr),
                  .direct = static_cast<M>(inside ? in.lr : 1.0),
                  .nesterov = static_cast<M>(again)},
            .form = !has_momentum ? SgdForm::plain
                    : again == 0  ? SgdForm::momentum
                                  : SgdForm::nesterov};
  }
};

struct AdamRule {
  double eps;
  bool maximize;
  bool decoupled;  // AdamW: weight decay apart from the gradient

  template <class M>
  struct Coefficients {
    AdamUpdate<M> c;

    template <class F>
    GALVAN_HD void with_update(const F& run) const {
      run(c);
    }
  };

  template <class M>
  GALVAN_HD Coefficients<M> coefficients(const SegmentOptions& segment, const UpdateInputs& in) const {
    const double t = static_cast<double>(in.updates), beta1 = in.momentum, beta2 = segment.beta2;
    return {.c = {.scale = static_cast<M>(maximize ? -in.grad_scale : in.grad_scale),
                  .decay = static_cast<M>(decoupled ? 1.0 - in.lr * segment.weight_decay : 1.0),
                  .weight_decay = static_cast<M>(decoupled ? 0.0 : segment.weight_decay),
                  .beta1 = static_cast<M>(beta1),
                  .one_beta1 = static_cast<M>(1 - beta1),
                  .beta2 = static_cast<M>(beta2),
                  .one_beta2 = static_cast<M>(1 - beta2),
                  .step_size = static_cast<M>(in.lr / (1.0 - std::pow(beta1, t))),
                  .root = static_cast<M>(1.0 / std::sqrt(1.0 - std::pow(beta2, t))),
                  .eps = static_cast<M>(eps)}};
  }
};

// Of a weight in bf16, the f32 that updates work on: its master; but where that does not round to the weight,
// somebody (a loaded checkpoint) has written the weight, and the master follows.
GALVAN_HD inline float current_master(bfloat16 weight, float master) {
  return bfloat16(master).bits == weight.bits ? master : static_cast<float>(weight);
}

}  // namespace galvan
