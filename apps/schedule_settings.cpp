#include "apps/schedule_settings.h"

#include <algorithm>

#include "optim/schedule_json.h"

namespace galvan {

void add_schedule_options(Settings& settings, ScheduleSettings& s, const char* policy_option) {
  settings.add(
      policy_option, &s.policy, "how the learning rate goes over the run",
      {.choices = {"cosine", "cyclic", "one-cycle", "step", "exponential", "cosine-annealing", "constant"}});
  const auto of = [&](std::vector<std::string> policies) {
    return SettingOptions{.use = {policy_option, std::move(policies)}};
  };
  const auto natural = [&](std::vector<std::string> policies) {
    return SettingOptions{.least = 0, .use = {policy_option, std::move(policies)}};
  };
  settings.add("lr", &s.lr, "learning rate, the highest of the run; default 1e-3, with sgd 0.1",
               {.least = 0});
  settings.add("min-lr", &s.min_lr, "where cosine schedules end; default a tenth of lr",
               natural({"cosine", "cosine-annealing"}));
  settings.add("warmup", &s.warmup,
               "cosine: steps of linear rise first; default 100, at most a tenth of the run",
               natural({"cosine"}));
  settings.add("base-lr", &s.base_lr, "cyclic: the lowest rate; default a hundredth of max-lr",
               of({"cyclic"}));
  settings.add("max-lr", &s.max_lr, "cyclic, one-cycle: the highest rate; default lr",
               of({"cyclic", "one-cycle"}));
  settings.add("cycles", &s.cycles, "cyclic: so many whole cycles make up the run, in place of step sizes",
               {.least = 1, .use = {policy_option, {"cyclic"}}});
  settings.add("step-size-up", &s.step_size_up, "cyclic: steps of a cycle's rise; default 400",
               of({"cyclic"}));
  settings.add("step-size-down", &s.step_size_down,
               "cyclic: steps of its fall; default as many as of its rise", of({"cyclic"}));
  settings.add("mode", &s.mode, "cyclic: how cycles shrink",
               {.choices = {"triangular", "triangular2", "exp_range"}, .use = {policy_option, {"cyclic"}}});
  settings.add("gamma", &s.gamma,
               "factor a step (exponential, exp_range) or a decay (step); default 1 for cyclic, 0.1 for step",
               of({"cyclic", "step", "exponential"}));
  settings.add("step-size", &s.step_size, "step: steps between two decays", of({"step"}));
  settings.add("cycle-momentum", &s.cycle_momentum, "cyclic, one-cycle: momentum falls as the rate rises",
               of({"cyclic", "one-cycle"}));
  settings.add("base-momentum", &s.base_momentum, "its lowest; default 0.8 for cyclic, 0.85 for one-cycle",
               of({"cyclic", "one-cycle"}));
  settings.add("max-momentum", &s.max_momentum, "its highest; default 0.9 for cyclic, 0.95 for one-cycle",
               of({"cyclic", "one-cycle"}));
  settings.add("total-steps", &s.total_steps,
               "one-cycle, cosine-annealing: steps of the whole course; default those of the run",
               of({"one-cycle", "cosine-annealing"}));
  settings.add("tail", &s.tail,
               "one-cycle: PyTorch's, down to the end, or Smith's, as long down as up and then a last tenth",
               {.choices = {"torch", "smith"}, .use = {policy_option, {"one-cycle"}}});
  settings.add("pct-start", &s.pct_start,
               "one-cycle: part of the run in which the rate rises; default 0.3, of Smith's 0.45",
               of({"one-cycle"}));
  settings.add("anneal", &s.anneal, "one-cycle: along a cosine or a line; default cos, of Smith's linear",
               {.choices = {"cos", "linear"}, .use = {policy_option, {"one-cycle"}}});
  settings.add("div-factor", &s.div_factor,
               "one-cycle: max-lr over the first rate; default 25, of Smith's 10", of({"one-cycle"}));
  settings.add("final-div-factor", &s.final_div_factor,
               "one-cycle: the first rate over the last; default 1e4, of Smith's 1e3", of({"one-cycle"}));
  settings.add("three-phase", &s.three_phase,
               "one-cycle: back to the first rate, then on to the last; default off, of Smith's on",
               of({"one-cycle"}));
}

void check_given(const Settings& settings, const ScheduleSettings& s) {
  settings.check_uses();
  const auto both = [&](const char* a, const char* b) { return settings.given(a) && settings.given(b); };
  if (both("lr", "max-lr")) throw UsageError("--max-lr is the highest rate; --lr has no place beside it");
  for (const char* name : {"step-size-up", "step-size-down"})
    if (s.cycles && settings.given(name))
      throw UsageError(concat("--cycles decides the step sizes; --", name, " has no place beside it"));
  if (s.policy == "cyclic" && s.mode != "exp_range" && settings.given("gamma"))
    throw UsageError("--gamma is for --mode exp_range; with " + s.mode + " it does nothing");
  for (const char* name : {"base-momentum", "max-momentum"})
    if (!s.cycle_momentum && settings.given(name))
      throw UsageError(concat("--", name, " is for --cycle-momentum, which is off"));
}

void resolve(ScheduleSettings& s, int64_t steps, double lr) {
  const auto otherwise = [](auto& value, auto fallback) {
    if (!value) value = fallback;
  };
  const bool is_cyclic = s.policy == "cyclic", is_one_cycle = s.policy == "one-cycle";
  otherwise(s.lr, lr);
  if (s.policy.starts_with("cosine")) otherwise(s.min_lr, *s.lr / 10);
  if (s.policy == "cosine") {
    otherwise(s.warmup, std::min<int64_t>(100, steps / 10));
    check(*s.warmup <= steps, "--warmup: a rise of ", *s.warmup, " steps does not fit into a run of ", steps,
          "; give a shorter one, such as ", steps / 10);
  }
  if (is_cyclic || is_one_cycle) {
    otherwise(s.max_lr, *s.lr);
    otherwise(s.base_momentum, is_cyclic ? 0.8 : 0.85);
    otherwise(s.max_momentum, is_cyclic ? 0.9 : 0.95);
  }
  if (is_cyclic) {
    otherwise(s.base_lr, *s.max_lr / 100);
    if (s.cycles) {
      const CyclicLR fitted = fit_cycles({}, steps, *s.cycles);
      s.step_size_up = fitted.step_size_up;
      s.step_size_down = fitted.step_size_down;
    }
    otherwise(s.step_size_up, int64_t{400});
    otherwise(s.step_size_down, *s.step_size_up);
    otherwise(s.gamma, 1.0);
  }
  if (is_one_cycle) {
    const OneCycleLR defaults = s.tail == "smith" ? smith_one_cycle(*s.max_lr, steps) : OneCycleLR{};
    otherwise(s.pct_start, defaults.pct_start);
    otherwise(s.anneal, defaults.anneal_strategy == Anneal::cos ? "cos" : "linear");
    otherwise(s.div_factor, defaults.div_factor);
    otherwise(s.final_div_factor, defaults.final_div_factor);
    otherwise(s.three_phase, defaults.three_phase);
  }
  if (s.policy == "step") otherwise(s.gamma, 0.1);
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
                      .total_steps = s.total_steps.value_or(steps),
                      .pct_start = *s.pct_start,
                      .anneal_strategy = parse_anneal(*s.anneal),
                      .cycle_momentum = s.cycle_momentum,
                      .base_momentum = *s.base_momentum,
                      .max_momentum = *s.max_momentum,
                      .div_factor = *s.div_factor,
                      .final_div_factor = *s.final_div_factor,
                      .three_phase = *s.three_phase};
  if (s.policy == "step") {
    if (!s.step_size) throw UsageError("the step schedule needs --step-size");
    return StepLR{.lr = *s.lr, .step_size = *s.step_size, .gamma = *s.gamma};
  }
  if (s.policy == "exponential") {
    if (!s.gamma) throw UsageError("the exponential schedule needs --gamma");
    return ExponentialLR{.lr = *s.lr, .gamma = *s.gamma};
  }
  if (s.policy == "cosine-annealing")
    return CosineAnnealingLR{.lr = *s.lr, .T_max = s.total_steps.value_or(steps), .eta_min = *s.min_lr};
  return FixedLR{.lr = *s.lr};
}

}  // namespace galvan
