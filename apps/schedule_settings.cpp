#include "apps/schedule_settings.h"

#include <algorithm>

#include "optim/schedule_json.h"

namespace galvan {

void add_schedule_options(Settings& settings, ScheduleSettings& s, const char* policy_option) {
  settings.add(
      policy_option, &s.policy, "how the learning rate goes over the run",
      {.choices = {"cosine", "cyclic", "one-cycle", "step", "exponential", "cosine-annealing", "constant"}});
  settings.add("lr", &s.lr, "learning rate, the highest of the run; default 1e-3, with sgd 0.1",
               {.least = 0});
  settings.add("min-lr", &s.min_lr, "where cosine schedules end; default a tenth of lr", {.least = 0});
  settings.add("warmup", &s.warmup,
               "cosine: steps of linear rise first; default 100, at most a tenth of the run", {.least = 0});
  settings.add("base-lr", &s.base_lr, "cyclic: the lowest rate; default a hundredth of max-lr");
  settings.add("max-lr", &s.max_lr, "cyclic, one-cycle: the highest rate; default lr");
  settings.add("step-size-up", &s.step_size_up, "cyclic: steps of a cycle's rise; default 400");
  settings.add("step-size-down", &s.step_size_down,
               "cyclic: steps of its fall; default as many as of its rise");
  settings.add("mode", &s.mode, "cyclic: how cycles shrink",
               {.choices = {"triangular", "triangular2", "exp_range"}});
  settings.add(
      "gamma", &s.gamma,
      "factor a step (exponential, exp_range) or a decay (step); default 1 for cyclic, 0.1 for step");
  settings.add("step-size", &s.step_size, "step: steps between two decays");
  settings.add("cycle-momentum", &s.cycle_momentum, "cyclic, one-cycle: momentum falls as the rate rises");
  settings.add("base-momentum", &s.base_momentum, "its lowest; default 0.8 for cyclic, 0.85 for one-cycle");
  settings.add("max-momentum", &s.max_momentum, "its highest; default 0.9 for cyclic, 0.95 for one-cycle");
  settings.add("total-steps", &s.total_steps,
               "one-cycle, cosine-annealing: steps of the whole course; default those of the run");
  settings.add("pct-start", &s.pct_start, "one-cycle: part of the run in which the rate rises");
  settings.add("anneal", &s.anneal, "one-cycle: along a cosine or a line", {.choices = {"cos", "linear"}});
  settings.add("div-factor", &s.div_factor, "one-cycle: max-lr over the first rate");
  settings.add("final-div-factor", &s.final_div_factor, "one-cycle: the first rate over the last");
  settings.add("three-phase", &s.three_phase, "one-cycle: back to the first rate, then on to the last");
}

void resolve(ScheduleSettings& s, int64_t steps, double lr) {
  const auto otherwise = [](auto& value, auto fallback) {
    if (!value) value = fallback;
  };
  const bool is_cyclic = s.policy == "cyclic", is_one_cycle = s.policy == "one-cycle";
  otherwise(s.lr, lr);
  if (s.policy.starts_with("cosine")) otherwise(s.min_lr, *s.lr / 10);
  if (s.policy == "cosine") otherwise(s.warmup, std::min<int64_t>(100, steps / 10));
  if (is_cyclic || is_one_cycle) {
    otherwise(s.max_lr, *s.lr);
    otherwise(s.base_momentum, is_cyclic ? 0.8 : 0.85);
    otherwise(s.max_momentum, is_cyclic ? 0.9 : 0.95);
  }
  if (is_cyclic) {
    otherwise(s.base_lr, *s.max_lr / 100);
    otherwise(s.step_size_up, int64_t{400});
    otherwise(s.step_size_down, *s.step_size_up);
    otherwise(s.gamma, 1.0);
  }
  if (s.policy == "step") otherwise(s.gamma, 0.1);
  if (is_one_cycle || s.policy == "cosine-annealing") otherwise(s.total_steps, steps);
}

Schedule make_schedule(const ScheduleSettings& s, int64_t steps) {
  if (s.policy == "cosine")
    return CosineWarmupLR{.lr = *s.lr, .min_lr = *s.min_lr, .warmup = *s.warmup, .decay_steps = steps};
  if (s.policy == "cyclic")
    return CyclicLR{.base_lr = *s.base_lr,
                    .max_lr = *s.max_lr,
                    .step_size_up = *s.step_size_up,
                    .step_size_down = s.step_size_down,
                    .mode = parse_cyclic_mode(s.mode),
                    .gamma = *s.gamma,
                    .cycle_momentum = s.cycle_momentum,
                    .base_momentum = *s.base_momentum,
                    .max_momentum = *s.max_momentum};
  if (s.policy == "one-cycle")
    return OneCycleLR{.max_lr = *s.max_lr,
                      .total_steps = *s.total_steps,
                      .pct_start = s.pct_start,
                      .anneal_strategy = parse_anneal(s.anneal),
                      .cycle_momentum = s.cycle_momentum,
                      .base_momentum = *s.base_momentum,
                      .max_momentum = *s.max_momentum,
                      .div_factor = s.div_factor,
                      .final_div_factor = s.final_div_factor,
                      .three_phase = s.three_phase};
  if (s.policy == "step") {
    if (!s.step_size) throw UsageError("the step schedule needs --step-size");
    return StepLR{.lr = *s.lr, .step_size = *s.step_size, .gamma = *s.gamma};
  }
  if (s.policy == "exponential") {
    if (!s.gamma) throw UsageError("the exponential schedule needs --gamma");
    return ExponentialLR{.lr = *s.lr, .gamma = *s.gamma};
  }
  if (s.policy == "cosine-annealing")
    return CosineAnnealingLR{.lr = *s.lr, .T_max = *s.total_steps, .eta_min = *s.min_lr};
  return FixedLR{.lr = *s.lr};
}

}  // namespace galvan
