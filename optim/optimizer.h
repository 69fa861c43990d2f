// What SGD, Adam and AdamW share: the arena, the step, state.
//
//   SGD sgd(model.parameters(), {.lr = 0.1, .momentum = 0.9});
//   loss.backward();
//   sgd.step({.lr = schedule.at(k).lr, .clip_norm = 1.0});
//   sgd.zero_grad();
//
// A parameter that has no gradient is left alone, as in PyTorch: no decay, no momentum.
//
// A step is three launches of kernels: squares of all gradients; the decision (norm, clipping, coefficients); the
// update. step() waits for what came of it. A run that does not wait, and whose steps are one sequence of launches
// that a CUDA graph may replay, goes
//
//   sgd.set_schedule(tabulate(schedule, steps, sgd.momentum()));
//   for each step
//     const RandomPass random(seed, 0, sgd.step_address());
//     loss.backward();  sgd.add_loss(loss);
//     sgd.enqueue_step({.clip_norm = 1.0, .skip_non_finite = true});
//   sgd.control().step;  sgd.records(0, steps);     // now and then
#pragma once

#include <optional>
#include <vector>

#include "core/kernels.h"
#include "optim/arena.h"
#include "optim/device_table.h"
#include "optim/schedule.h"

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
  std::optional<double> lr = {};        // of this step, in place of the schedule's or the optimizer's
  std::optional<double> momentum = {};  // likewise, of every group; beta1 of Adam
  double grad_scale = 1.0;              // gradients are multiplied by it first (1 / number of micro-batches)
  double clip_norm = 0.0;  // 0: no clipping. Otherwise gradients are scaled by min(1, clip / (norm + 1e-6))
  bool skip_non_finite = false;  // change nothing when the gradient norm or the loss is NaN or infinite
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
  // The same without waiting for the device. Where a step is skipped as not finite, all later ones are too, until
  // set_step. Which parameters have gradients goes to the device when it changes: not while a graph is captured.
  void enqueue_step(const StepOptions& options = {});

  // Learning rate and momentum of step k = 0, 1, ... of a run, for steps that name none; later ones are like
  // the last. Throws as step() does.
  void set_schedule(const ScheduleTable& table);
  // Adds the loss of a micro-batch, a scalar, to the step under way; its record has their mean.
  void add_loss(const Tensor& loss) const;
  // How far the run is; waits for the device.
  StepControl control() const { return control_.to_host()[0]; }
  // What steps begin, ..., end - 1 left; waits for the device. At most the kStepRecords last ones of control().step,
  // and the one that was skipped first, are there.
  std::vector<StepRecord> records(int64_t begin, int64_t end) const;
  // Updates done, when a run is resumed; forgets what was not finite, and a loss under way.
  void set_step(int64_t step) const;
  // Where control().step is in the device's memory, for dropout (RandomPass).
  const int64_t* step_address() const { return &control_.data()->step; }

  // Makes every parameter's grad() undefined; the next backward overwrites the memory.
  void zero_grad();
  // sqrt(sum of squares) over all gradients: the same number in every run, whatever the number of threads.
  double grad_norm() const;
  // Of the last step's gradients the sum of squares by segment of the arena, before grad_scale and clipping; 0 where
  // there was none. The step has worked these sums out: this only reads them, and waits for the device.
  std::vector<double> segment_grad_squares() const;

  // "sgd", "adam", "adamw".
  virtual const char* name() const = 0;
  double lr() const { return lr_; }
  // The optimizer's own momentum, or beta1.
  double momentum() const { return momentum_; }
  // Its weight decay, where a group has none of its own; for the steps that follow. Throws when negative.
  double weight_decay() const { return weight_decay_; }
  void set_weight_decay(double weight_decay);

  // Everything that a resumed run needs, by name: "momentum.NAME", "exp_avg.NAME", "master.NAME", "updates".
  // The tensors are views: copy them to keep them.
  std::vector<NamedTensor> state() const;
  // Throws when a name or a shape is not this optimizer's: "optimizer state: momentum.w is [2], should be
  // [3]".
  void load_state(const std::vector<NamedTensor>& state);

  const ParameterArena& arena() const { return arena_; }

 protected:
  // `defaults` hold where a group has nothing of its own.
  Optimizer(const std::vector<ParameterGroup>& groups, double lr, const SegmentOptions& defaults,
            std::vector<std::string> state_names);

  // Of a step, and of every group.
  virtual void check_momentum(double momentum) const;
  // launch_rule with the optimizer's rule.
  virtual void launch(const StepSettings& settings) const = 0;

  template <class Rule>
  void launch_rule(const Rule& rule, const StepSettings& settings) const {
    dispatch<"optimizer">(arena_.parameters(), [&]<class T>(auto on) {
      using M = Acc<T>;
      using Coefficients = typename Rule::template Coefficients<M>;
      static_assert(sizeof(Coefficients) <= kCoefficientBytes);
      auto* const coefficients = reinterpret_cast<Coefficients*>(coefficients_.data<double>());
      const auto state = [&](size_t i) {
        return i < states_.size() ? states_[i].template data<M>() : nullptr;
      };
      squares_of_pieces<T>(on, arena_.gradients().data<T>(), pieces(), partials_.data<double>());
      begin_update<Rule, M>(on, rule, inputs(settings), coefficients);
      galvan::update_pieces<Rule, T>(on, pieces(), coefficients, control_.data(),
                                     {.weight = arena_.parameters().data<T>(),
                                      .master = arena_.masters().data<M>(),
                                      .grad = arena_.gradients().data<T>(),
                                      .state0 = state(0),
                                      .state1 = state(1)});
    });
  }

 private:
  static constexpr int64_t kCoefficientBytes = 80;  // a segment

  Device device() const { return arena_.parameters().device(); }
  void check_lr(double lr) const;
  void enqueue(const StepOptions& options, bool forget_non_finite);
  void collect_gradients() const;
  UpdatePieces pieces() const;
  StepInputs inputs(const StepSettings& settings) const;

  ParameterArena arena_;
  double lr_, momentum_, weight_decay_;
  std::vector<bool> has_own_decay_;  // by segment
  std::vector<std::string> state_names_;
  std::vector<Tensor> states_;
  DeviceTable<UpdatePiece> pieces_;
  DeviceTable<SegmentOptions> segments_;
  DeviceTable<int32_t> has_grad_;  // by segment, as of the last step
  DeviceTable<StepControl> control_;
  DeviceTable<StepRecord> records_;
  Tensor updates_;        // i32, by segment: how often it has been updated
  Tensor partials_;       // f64, by piece
  Tensor coefficients_;   // kCoefficientBytes a segment, worked out anew in each step
  Tensor lrs_, momenta_;  // f64, the schedule's; undefined without one
};

// For gradients outside an optimizer: scales them in place so that their global norm is at most max_norm, and
// returns the norm before (torch.nn.utils.clip_grad_norm_).
double clip_grad_norm_(const std::vector<NamedTensor>& parameters, double max_norm);

}  // namespace galvan
