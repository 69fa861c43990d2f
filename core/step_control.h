// What changes from one training step to the next, in the device's memory, where kernels read and write it. So a
// step is the same launches with the same arguments each time: a CUDA graph that has captured one replays them
// all.
//
//   StepControl     how far the run is
//   StepSettings    what stays: learning rates of the whole run, clipping
//   decide          from both and the gradients' sum of squares: is there an update, and with what
//   close_step      the next step
//
// Both devices work out a step with the functions here, in double.
#pragma once

#include <cmath>
#include <cstdint>

#include "core/math.h"

namespace galvan {

struct StepControl {
  int64_t step = 0;            // updates done
  int64_t non_finite_at = -1;  // the step whose loss or gradient norm was NaN or infinite, -1 for none:
                               // from it on nothing is updated, and `step` stands still
  double grad_norm = 0;        // of the last step: scaled, before clipping
  double loss_sum = 0;         // over the micro-batches of the step under way
  int32_t losses = 0;          // so many
  int32_t applied = 0;         // whether the last step was an update
};

// What a step leaves behind, at place step % kStepRecords.
struct StepRecord {
  double loss = 0;  // mean over the micro-batches; 0 where none was added
  double grad_norm = 0;
};
inline constexpr int64_t kStepRecords = 1024;

struct StepSettings {
  double lr;
  double momentum;         // of every segment; negative: each has its own
  const double* lrs;       // of every step of the run, [steps], in place of lr; may be null
  const double* momenta;   // likewise
  int64_t steps;           // later ones are like the last
  double grad_scale;       // gradients are multiplied by it first
  double clip_norm;        // 0: no clipping
  bool skip_non_finite;    // no update from the first step on whose loss or gradient norm is NaN or infinite
  bool forget_non_finite;  // this step is judged by itself, whatever was before
};

struct StepDecision {
  bool applied;
  int64_t non_finite_at;
  double loss, grad_norm;
  double lr, momentum;
  double grad_scale;  // clipping counted
};

GALVAN_HD inline StepDecision decide(const StepSettings& s, const StepControl& control,
                                     double sum_of_squares) {
  StepDecision d;
  d.loss = control.losses > 0 ? control.loss_sum / control.losses : 0.0;
  d.grad_norm = std::fabs(s.grad_scale) * std::sqrt(sum_of_squares);
  d.non_finite_at = s.forget_non_finite ? -1 : control.non_finite_at;
  const bool finite = std::isfinite(d.loss) && std::isfinite(d.grad_norm);
  if (s.skip_non_finite && !finite && d.non_finite_at < 0) d.non_finite_at = control.step;
  d.applied = d.non_finite_at < 0;

  const int64_t row = control.step < s.steps ? control.step : s.steps - 1;
  d.lr = s.lrs != nullptr ? s.lrs[row] : s.lr;
  d.momentum = s.momenta != nullptr ? s.momenta[row] : s.momentum;
  d.grad_scale = s.grad_scale;
  if (s.clip_norm > 0) {  // PyTorch's: the small number keeps a zero norm from dividing by zero
    const double scale = s.clip_norm / (d.grad_norm + 1e-6);
    if (scale < 1) d.grad_scale *= scale;
  }
  return d;
}

GALVAN_HD inline void close_step(const StepDecision& d, StepControl& control, StepRecord* records) {
  records[control.step % kStepRecords] = {d.loss, d.grad_norm};
  control.non_finite_at = d.non_finite_at;
  control.grad_norm = d.grad_norm;
  control.loss_sum = 0;
  control.losses = 0;
  control.applied = d.applied;
  if (d.applied) ++control.step;
}

}  // namespace galvan
