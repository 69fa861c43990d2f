#include "optim/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "core/check.h"
#include "optim/schedule_policies.h"

namespace galvan {

ScheduleValue Schedule::at(int64_t step) const {
  check(step >= 0, name(), ": step ", step, " is negative");
  return std::visit([&](const auto& policy) { return value_at(policy, step); }, policy_);
}

void Schedule::validate() const {
  std::visit([](const auto& policy) { validate_policy(policy); }, policy_);
}

std::string_view Schedule::name() const {
  return std::visit([](const auto& policy) { return policy_name(policy); }, policy_);
}

bool Schedule::cycles_momentum() const {
  if (const auto* cyclic = std::get_if<CyclicLR>(&policy_)) return cyclic->cycle_momentum;
  if (const auto* one_cycle = std::get_if<OneCycleLR>(&policy_)) return one_cycle->cycle_momentum;
  if (const auto* sequence = std::get_if<SequentialLR>(&policy_))
    return std::ranges::any_of(sequence->schedules, &Schedule::cycles_momentum);
  return false;
}

std::optional<int64_t> Schedule::length() const {
  if (const auto* one_cycle = std::get_if<OneCycleLR>(&policy_)) return total_steps(*one_cycle);
  if (const auto* sequence = std::get_if<SequentialLR>(&policy_)) {
    const std::optional<int64_t> last = sequence->schedules.back().length();
    if (!last) return std::nullopt;
    return *last + (sequence->milestones.empty() ? 0 : sequence->milestones.back());
  }
  return std::nullopt;
}

std::optional<int64_t> Schedule::cycle_end_after(int64_t step) const {
  if (const auto* cyclic = std::get_if<CyclicLR>(&policy_)) {
    const int64_t cycle = cyclic->step_size_up + cyclic->step_size_down.value_or(cyclic->step_size_up);
    return (step / cycle + 1) * cycle;
  }
  if (const auto* one_cycle = std::get_if<OneCycleLR>(&policy_)) {
    const int64_t end = total_steps(*one_cycle);
    return step < end ? std::optional<int64_t>(end) : std::nullopt;
  }
  if (const auto* sequence = std::get_if<SequentialLR>(&policy_)) {
    int64_t begin = 0;
    for (size_t i = 0; i < sequence->schedules.size(); ++i) {
      const bool last = i == sequence->milestones.size();
      if (last || step < sequence->milestones[i]) {
        const auto end = sequence->schedules[i].cycle_end_after(std::max<int64_t>(step - begin, 0));
        if (end && (last || begin + *end <= sequence->milestones[i])) return begin + *end;
      }
      if (!last) begin = sequence->milestones[i];
    }
  }
  return std::nullopt;
}

ScheduleTable tabulate(const Schedule& schedule, int64_t steps, double momentum) {
  check(steps >= 0, "tabulate: steps ", steps, " is negative");
  ScheduleTable table;
  table.lr.reserve(steps);
  table.momentum.reserve(steps);
  for (int64_t k = 0; k < steps; ++k) {
    const ScheduleValue value = schedule.at(k);
    table.lr.push_back(value.lr);
    table.momentum.push_back(value.momentum.value_or(momentum));
  }
  return table;
}

CyclicLR fit_cycles(CyclicLR options, int64_t total_steps, int64_t cycles, double up_fraction) {
  check(cycles > 0, "fit_cycles: cycles ", cycles, " must be at least 1");
  check(total_steps / cycles >= 2, "fit_cycles: ", total_steps, " steps are too few for ", cycles,
        " cycles of at least 2 steps");
  const int64_t rest = total_steps % cycles;
  check(rest == 0, "fit_cycles: ", total_steps, " steps are not ", cycles, " whole cycles; take ",
        total_steps - rest, " or ", total_steps - rest + cycles);
  check(up_fraction > 0 && up_fraction < 1, "fit_cycles: up_fraction ", up_fraction,
        " must be between 0 and 1");
  const int64_t cycle = total_steps / cycles;
  const auto up = static_cast<int64_t>(std::llround(up_fraction * static_cast<double>(cycle)));
  options.step_size_up = std::clamp<int64_t>(up, 1, cycle - 1);
  options.step_size_down = cycle - options.step_size_up;
  return options;
}

std::vector<int64_t> cycle_ends(const Schedule& schedule, int64_t steps) {
  std::vector<int64_t> ends;
  for (auto end = schedule.cycle_end_after(0); end && *end <= steps; end = schedule.cycle_end_after(*end))
    ends.push_back(*end);
  return ends;
}

OneCycleLR smith_one_cycle(double max_lr, int64_t total_steps) {
  return {.max_lr = max_lr,
          .total_steps = total_steps,
          .pct_start = 0.45,
          .anneal_strategy = Anneal::linear,
          .div_factor = 10,
          .final_div_factor = 1000,
          .three_phase = true};
}

void check_compatible(const Schedule& schedule, double momentum, int64_t steps) {
  check(!schedule.cycles_momentum() || momentum > 0, schedule.name(),
        ": cycle_momentum is on, but the optimizer has momentum ", momentum,
        "; give it a momentum above 0 or turn cycle_momentum off");
  const std::optional<int64_t> length = schedule.length();
  check(!length || steps <= *length, schedule.name(), ": the run has ", steps, " steps, the schedule only ",
        length.value_or(0));
}

}  // namespace galvan
