#include "optim/schedule_policies.h"

#include <cmath>
#include <numbers>

#include "core/check.h"

namespace galvan {
namespace {

void check_rate(std::string_view schedule, std::string_view option, double lr) {
  check(std::isfinite(lr) && lr >= 0, schedule, ": ", option, " ", lr, " must be a finite number, 0 or more");
}

// Sums and products of a few such numbers stay far from overflow.
constexpr int64_t kMaxSteps = 1'000'000'000'000;

void check_steps(std::string_view schedule, std::string_view option, int64_t steps, int64_t least = 1) {
  check(steps >= least && steps <= kMaxSteps, schedule, ": ", option, " ", steps, " must be between ", least,
        " and ", kMaxSteps);
}

void check_gamma(std::string_view schedule, double gamma) {
  check(gamma > 0 && gamma <= 1, schedule, ": gamma ", gamma, " must be above 0 and at most 1");
}

void check_order(std::string_view schedule, std::string_view low, double a, std::string_view high, double b) {
  check(a <= b, schedule, ": ", low, " ", a, " is above ", high, " ", b);
}

void check_momenta(std::string_view schedule, double base, double max) {
  const bool held = base >= 0 && base < 1 && max >= 0 && max < 1;
  check(held, schedule, ": base_momentum ", base, " and max_momentum ", max,
        " must be at least 0 and below 1");
  check_order(schedule, "base_momentum", base, "max_momentum", max);
}

// From start (p = 0) to end (p = 1) along half a cosine.
double cosine(double start, double end, double p) {
  return end + (start - end) / 2 * (1 + std::cos(std::numbers::pi * p));
}

double ratio(int64_t a, int64_t b) { return static_cast<double>(a) / static_cast<double>(b); }

}  // namespace

void validate_policy(const FixedLR& o) { check_rate("FixedLR", "lr", o.lr); }

ScheduleValue value_at(const FixedLR& o, int64_t) { return {.lr = o.lr}; }

void validate_policy(const StepLR& o) {
  check_rate("StepLR", "lr", o.lr);
  check_steps("StepLR", "step_size", o.step_size);
  check_gamma("StepLR", o.gamma);
}

ScheduleValue value_at(const StepLR& o, int64_t k) {
  return {.lr = o.lr * std::pow(o.gamma, static_cast<double>(k / o.step_size))};
}

void validate_policy(const ExponentialLR& o) {
  check_rate("ExponentialLR", "lr", o.lr);
  check_gamma("ExponentialLR", o.gamma);
}

ScheduleValue value_at(const ExponentialLR& o, int64_t k) {
  return {.lr = o.lr * std::pow(o.gamma, static_cast<double>(k))};
}

void validate_policy(const CosineAnnealingLR& o) {
  check_rate("CosineAnnealingLR", "lr", o.lr);
  check_rate("CosineAnnealingLR", "eta_min", o.eta_min);
  check_order("CosineAnnealingLR", "eta_min", o.eta_min, "lr", o.lr);
  check_steps("CosineAnnealingLR", "T_max", o.T_max);
}

ScheduleValue value_at(const CosineAnnealingLR& o, int64_t k) {
  const int64_t phase = k % (2 * o.T_max);  // keeps the cosine's argument small, and so exact
  return {.lr = cosine(o.lr, o.eta_min, ratio(phase, o.T_max))};
}

void validate_policy(const CosineWarmupLR& o) {
  check_rate("CosineWarmupLR", "lr", o.lr);
  check_rate("CosineWarmupLR", "min_lr", o.min_lr);
  check_order("CosineWarmupLR", "min_lr", o.min_lr, "lr", o.lr);
  check_steps("CosineWarmupLR", "warmup", o.warmup, 0);
  check_steps("CosineWarmupLR", "decay_steps", o.decay_steps);
  check(o.warmup <= o.decay_steps, "CosineWarmupLR: warmup ", o.warmup, " is above decay_steps ",
        o.decay_steps);
}

ScheduleValue value_at(const CosineWarmupLR& o, int64_t k) {
  if (k < o.warmup) return {.lr = o.lr * ratio(k + 1, o.warmup + 1)};
  if (k >= o.decay_steps) return {.lr = o.min_lr};
  return {.lr = cosine(o.lr, o.min_lr, ratio(k - o.warmup, o.decay_steps - o.warmup))};
}

void validate_policy(const CyclicLR& o) {
  check_rate("CyclicLR", "base_lr", o.base_lr);
  check_rate("CyclicLR", "max_lr", o.max_lr);
  check_order("CyclicLR", "base_lr", o.base_lr, "max_lr", o.max_lr);
  check_steps("CyclicLR", "step_size_up", o.step_size_up);
  if (o.step_size_down) check_steps("CyclicLR", "step_size_down", *o.step_size_down);
  check_gamma("CyclicLR", o.gamma);
  if (o.cycle_momentum) check_momenta("CyclicLR", o.base_momentum, o.max_momentum);
}

ScheduleValue value_at(const CyclicLR& o, int64_t k) {
  const int64_t up = o.step_size_up, down = o.step_size_down.value_or(up), total = up + down;
  const int64_t done = k / total, position = k % total;
  const double s = position <= up ? ratio(position, up) : ratio(total - position, down);

  const double x = static_cast<double>(o.scale_mode == ScaleMode::cycle ? done + 1 : k);
  double amplitude = 1;
  if (o.scale_fn)
    amplitude = o.scale_fn(x);
  else if (o.mode == CyclicMode::triangular2)
    amplitude = std::exp2(-static_cast<double>(done));
  else if (o.mode == CyclicMode::exp_range)
    amplitude = std::pow(o.gamma, static_cast<double>(k));

  ScheduleValue value{.lr = o.base_lr + (o.max_lr - o.base_lr) * s * amplitude};
  check(std::isfinite(value.lr) && value.lr >= 0, "CyclicLR: scale_fn(", x, ") = ", amplitude,
        " makes the learning rate ", value.lr, " at step ", k);
  if (o.cycle_momentum) {
    const double momentum = o.max_momentum - (o.max_momentum - o.base_momentum) * s * amplitude;
    check(momentum >= 0 && momentum < 1, "CyclicLR: scale_fn(", x, ") = ", amplitude, " makes the momentum ",
          momentum, " at step ", k);
    value.momentum = momentum;
  }
  return value;
}

int64_t total_steps(const OneCycleLR& o) {
  return o.total_steps != 0 ? o.total_steps : o.epochs * o.steps_per_epoch;
}

void validate_policy(const OneCycleLR& o) {
  check_rate("OneCycleLR", "max_lr", o.max_lr);
  if (o.epochs != 0 || o.steps_per_epoch != 0) {
    check_steps("OneCycleLR", "epochs", o.epochs);
    check_steps("OneCycleLR", "steps_per_epoch", o.steps_per_epoch);
    check(o.epochs <= kMaxSteps / o.steps_per_epoch, "OneCycleLR: epochs ", o.epochs, " * steps_per_epoch ",
          o.steps_per_epoch, " is above ", kMaxSteps);
    check(o.total_steps == 0 || o.total_steps == o.epochs * o.steps_per_epoch, "OneCycleLR: total_steps ",
          o.total_steps, " is not epochs ", o.epochs, " * steps_per_epoch ", o.steps_per_epoch);
  } else {
    check(o.total_steps != 0, "OneCycleLR: needs total_steps, or epochs and steps_per_epoch");
    check_steps("OneCycleLR", "total_steps", o.total_steps);
  }
  check(o.pct_start >= 0 && o.pct_start <= 1, "OneCycleLR: pct_start ", o.pct_start,
        " must be between 0 and 1");
  check(std::isfinite(o.div_factor) && o.div_factor >= 1, "OneCycleLR: div_factor ", o.div_factor,
        " must be at least 1");
  check(std::isfinite(o.final_div_factor) && o.final_div_factor > 0, "OneCycleLR: final_div_factor ",
        o.final_div_factor, " must be above 0");
  if (o.cycle_momentum) check_momenta("OneCycleLR", o.base_momentum, o.max_momentum);
  const double steps = static_cast<double>(total_steps(o));
  check(!o.three_phase || 2 * o.pct_start * steps - 2 <= steps - 1, "OneCycleLR: three_phase with pct_start ",
        o.pct_start, " leaves no steps for the third phase; take at most 0.5");
}

ScheduleValue value_at(const OneCycleLR& o, int64_t k) {
  const int64_t total = total_steps(o);
  check(k < total, "OneCycleLR: step ", k, " is past the end of ", total, " steps");
  const double initial = o.max_lr / o.div_factor, min = initial / o.final_div_factor;
  const double base_m = o.base_momentum, max_m = o.max_momentum;

  struct Phase {
    double end;  // last step of the phase; not always whole
    double lr_from, lr_to, momentum_from, momentum_to;
  };
  const double steps = static_cast<double>(total), last = steps - 1;
  const Phase two[] = {{o.pct_start * steps - 1, initial, o.max_lr, max_m, base_m},  //
                       {last, o.max_lr, min, base_m, max_m}};
  const Phase three[] = {{o.pct_start * steps - 1, initial, o.max_lr, max_m, base_m},
                         {2 * o.pct_start * steps - 2, o.max_lr, initial, base_m, max_m},
                         {last, initial, min, max_m, max_m}};

  // A phase of no length is stepped over: pct_start T = 1, where PyTorch divides by zero, starts at max_lr.
  // No length is less than a billionth of a step, for pct_start T is rounded, or not where it becomes an FMA.
  const double step = static_cast<double>(k);
  double start = 0;
  const Phase* phase = o.three_phase ? three : two;
  const Phase* const final_phase = o.three_phase ? three + 2 : two + 1;
  while (phase != final_phase && (step > phase->end || phase->end - start < 1e-9)) start = (phase++)->end;

  const double p = phase->end > start ? (step - start) / (phase->end - start) : 1;
  const auto anneal = [&](double from, double to) {
    return o.anneal_strategy == Anneal::cos ? cosine(from, to, p) : (to - from) * p + from;
  };
  ScheduleValue value{.lr = anneal(phase->lr_from, phase->lr_to)};
  if (o.cycle_momentum) value.momentum = anneal(phase->momentum_from, phase->momentum_to);
  return value;
}

void validate_policy(const SequentialLR& o) {
  check(!o.schedules.empty(), "SequentialLR: has no schedules");
  check(o.milestones.size() + 1 == o.schedules.size(), "SequentialLR: ", o.schedules.size(),
        " schedules need ", o.schedules.size() - 1, " milestones, got ", o.milestones.size());
  int64_t start = 0;
  for (size_t i = 0; i < o.milestones.size(); ++i) {
    check(o.milestones[i] > start && o.milestones[i] <= kMaxSteps, "SequentialLR: milestone ",
          o.milestones[i], " must be above ", start, " and at most ", kMaxSteps);
    const int64_t steps = o.milestones[i] - start;
    const std::optional<int64_t> length = o.schedules[i].length();
    check(!length || steps <= *length, "SequentialLR: ", o.schedules[i].name(), " has ", length.value_or(0),
          " steps and is to run for ", steps);
    start = o.milestones[i];
  }
}

ScheduleValue value_at(const SequentialLR& o, int64_t k) {
  size_t i = 0;
  while (i < o.milestones.size() && k >= o.milestones[i]) ++i;
  return o.schedules[i].at(i == 0 ? k : k - o.milestones[i - 1]);
}

}  // namespace galvan
