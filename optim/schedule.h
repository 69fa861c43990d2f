// Learning-rate schedules: pure functions of the step that give the learning rate and, where they cycle it,
// the momentum.
//
//   Schedule s = CyclicLR{.base_lr = 0.001, .max_lr = 0.1, .step_size_up = 400};
//   auto [lr, momentum] = s.at(k);          // k = updates already done: the first update runs with at(0)
//
// Names, defaults and values are those of torch.optim.lr_scheduler (lr and momentum equal to 1e-12). A
// schedule has no state: a run that resumes needs its options and k. Everything is double, and positions in a
// cycle are integers, so nothing drifts: at(k) is as exact at k = 1e9 as at k = 1. With Adam, "momentum" is
// beta1.
//
// Making a Schedule checks its options; a mistake throws galvan::Error with one line that names the schedule
// and the values. docs/schedules.md has the pictures, recipes, and where this is stricter than PyTorch.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

namespace galvan {

class Schedule;

// lr(k) = lr. Named apart from PyTorch's ConstantLR, which is a warm-up by a constant factor.
struct FixedLR {
  double lr = 0;
};

// lr(k) = lr * gamma^floor(k / step_size)
struct StepLR {
  double lr = 0;
  int64_t step_size = 0;  // steps between two decays
  double gamma = 0.1;     // in (0, 1]
};

// lr(k) = lr * gamma^k
struct ExponentialLR {
  double lr = 0;
  double gamma = 0;  // in (0, 1]
};

// lr(k) = eta_min + (lr - eta_min) (1 + cos(pi k / T_max)) / 2. Past T_max it rises again, as in PyTorch.
struct CosineAnnealingLR {
  double lr = 0;
  int64_t T_max = 0;  // steps from lr down to eta_min: half a period
  double eta_min = 0;
};

// Linear warm-up, then half a cosine: the schedule of nanoGPT's train.py (its warmup_iters, lr_decay_iters).
//   k < warmup         lr (k + 1) / (warmup + 1)
//   k < decay_steps    min_lr + (lr - min_lr) (1 + cos(pi (k - warmup) / (decay_steps - warmup))) / 2
//   else               min_lr
struct CosineWarmupLR {
  double lr = 0;
  double min_lr = 0;
  int64_t warmup = 0;
  int64_t decay_steps =
      0;  // the step from which on lr is min_lr, counted from 0 and not from the end of warm-up
};

enum class CyclicMode { triangular, triangular2, exp_range };
enum class ScaleMode { cycle, iterations };

// Smith, Cyclical Learning Rates for Training Neural Networks (2015). With T = step_size_up + step_size_down,
// cycle = 1 + floor(k / T), and s in [0, 1] rising for step_size_up steps and falling for step_size_down:
//   lr(k)       = base_lr + (max_lr - base_lr) s A
//   momentum(k) = max_momentum - (max_momentum - base_momentum) s A
//   A = 1 (triangular), 2^-(cycle - 1) (triangular2), gamma^k (exp_range), or scale_fn(cycle), scale_fn(k)
struct CyclicLR {
  double base_lr = 0;
  double max_lr = 0;
  int64_t step_size_up = 2000;
  std::optional<int64_t> step_size_down = {};  // none: step_size_up
  CyclicMode mode = CyclicMode::triangular;
  double gamma = 1;                             // of exp_range, in (0, 1]
  std::function<double(double)> scale_fn = {};  // if given, mode is ignored
  ScaleMode scale_mode = ScaleMode::cycle;      // what scale_fn gets: the cycle from 1, or the step from 0
  bool cycle_momentum = true;
  double base_momentum = 0.8;  // at the top of a cycle
  double max_momentum = 0.9;   // at its foot, and at step 0
};

enum class Anneal { cos, linear };

// Smith, A disciplined approach to neural network hyper-parameters (2018), as PyTorch has it. With
// initial = max_lr / div_factor and min = initial / final_div_factor, and T = total_steps:
//   two phases    initial -> max_lr until pct_start T - 1, then -> min at T - 1
//   three_phase   initial -> max_lr until pct_start T - 1, -> initial until 2 pct_start T - 2,
//                 -> min at T - 1
// Momentum goes max -> base -> max over the first two phases. at(T) and beyond are errors.
struct OneCycleLR {
  double max_lr = 0;
  int64_t total_steps = 0;  // 0: epochs * steps_per_epoch
  int64_t epochs = 0;
  int64_t steps_per_epoch = 0;
  double pct_start = 0.3;  // part of the run in which lr rises, in [0, 1]
  Anneal anneal_strategy = Anneal::cos;
  bool cycle_momentum = true;
  double base_momentum = 0.85;
  double max_momentum = 0.95;
  double div_factor = 25;
  double final_div_factor = 1e4;
  bool three_phase = false;
};

// One schedule after another: schedules[i] runs from milestones[i - 1] until milestones[i], and counts its
// own steps from 0. One milestone fewer than schedules.
struct SequentialLR {
  std::vector<Schedule> schedules;
  std::vector<int64_t> milestones = {};
};

struct ScheduleValue {
  double lr = 0;
  std::optional<double> momentum = {};  // none: the schedule leaves the optimizer's own momentum alone
};

using SchedulePolicy = std::variant<FixedLR, StepLR, ExponentialLR, CosineAnnealingLR, CosineWarmupLR,
                                    CyclicLR, OneCycleLR, SequentialLR>;

class Schedule {
 public:
  // From any of the option structs above: Schedule s = StepLR{...}. Throws when the options make no sense.
  template <class Policy>
  requires(!std::is_base_of_v<Schedule, Policy> && std::is_constructible_v<SchedulePolicy, Policy>)
      Schedule(Policy policy)
      : policy_(std::move(policy)) {
    validate();
  }

  // Learning rate and momentum of the update after `step` updates. Throws for step < 0 or step >= length().
  ScheduleValue at(int64_t step) const;

  bool cycles_momentum() const;           // does any at(k) have a momentum
  std::optional<int64_t> length() const;  // steps that the schedule has; none: it never ends
  // The first end of a cycle after `step` updates: of CyclicLR and OneCycleLR, of SequentialLR those of its parts, where a
  // cycle that is cut short has none; counted in updates. None: no more come.
  std::optional<int64_t> cycle_end_after(int64_t step) const;
  std::string_view name() const;  // "CyclicLR"
  const SchedulePolicy& policy() const { return policy_; }

 private:
  void validate() const;

  SchedulePolicy policy_;
};

// A whole run, made once: lr[k] and momentum[k] of step k. Trainers and kernels index it by step.
struct ScheduleTable {
  std::vector<double> lr;
  std::vector<double> momentum;
};

// The first `steps` values. `momentum` is the optimizer's own, kept where the schedule leaves it alone.
ScheduleTable tabulate(const Schedule& schedule, int64_t steps, double momentum = 0);

// `options` with step sizes such that `total_steps` are exactly `cycles` whole cycles, rising for
// `up_fraction` of each (at least one step up and one down). Throws when total_steps is no multiple of
// cycles.
CyclicLR fit_cycles(CyclicLR options, int64_t total_steps, int64_t cycles, double up_fraction = 0.5);

// The ends of cycles in a run of `steps` updates.
std::vector<int64_t> cycle_ends(const Schedule& schedule, int64_t steps);

// 1cycle as Smith has it (arXiv:1803.09820, as OneCycleLR): in straight lines up from max_lr / 10 and down again in as many
// steps, then a tail of a tenth of the run, down to max_lr / 10,000; momentum .95, .85, .95, and .95 in the tail.
OneCycleLR smith_one_cycle(double max_lr, int64_t total_steps);

// For whoever joins a schedule and an optimizer into a run of `steps` steps. Throws when the schedule cycles
// the momentum of an optimizer that was made without (PyTorch would quietly train it with momentum), or ends
// too early. `momentum` is the optimizer's option: SGD's momentum or Adam's beta1.
void check_compatible(const Schedule& schedule, double momentum, int64_t steps);

}  // namespace galvan
