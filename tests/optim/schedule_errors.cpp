// The mistakes in schedules, each with its line.
#include <doctest/doctest.h>

#include <limits>

#include "core/check.h"
#include "optim/schedule.h"

using namespace galvan;

namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

// Makes the schedule and returns what it complains about.
template <class Policy>
std::string complaint(Policy policy) {
  try {
    Schedule schedule(std::move(policy));
  } catch (const Error& error) {
    return error.what();
  }
  return "none";
}

}  // namespace

TEST_CASE("options that make no sense") {
  CHECK(complaint(FixedLR{.lr = -1}) == "FixedLR: lr -1 must be a finite number, 0 or more");
  CHECK(complaint(FixedLR{.lr = kNan}) == "FixedLR: lr nan must be a finite number, 0 or more");
  CHECK(complaint(StepLR{.lr = .1}) == "StepLR: step_size 0 must be between 1 and 1000000000000");
  CHECK(complaint(StepLR{.lr = .1, .step_size = 3, .gamma = 1.5}) ==
        "StepLR: gamma 1.5 must be above 0 and at most 1");
  CHECK(complaint(ExponentialLR{.lr = .1}) == "ExponentialLR: gamma 0 must be above 0 and at most 1");
  CHECK(complaint(ExponentialLR{.lr = -.1, .gamma = .9}) ==
        "ExponentialLR: lr -0.1 must be a finite number, 0 or more");
  CHECK(complaint(CosineAnnealingLR{.lr = .1}) ==
        "CosineAnnealingLR: T_max 0 must be between 1 and 1000000000000");
  CHECK(complaint(CosineAnnealingLR{.lr = .1, .T_max = 5, .eta_min = .2}) ==
        "CosineAnnealingLR: eta_min 0.2 is above lr 0.1");
  CHECK(complaint(CosineWarmupLR{.lr = .1, .min_lr = .2, .decay_steps = 9}) ==
        "CosineWarmupLR: min_lr 0.2 is above lr 0.1");
  CHECK(complaint(CosineWarmupLR{.lr = .1, .warmup = 10, .decay_steps = 9}) ==
        "CosineWarmupLR: warmup 10 is above decay_steps 9");
  CHECK(complaint(CosineWarmupLR{.lr = .1, .warmup = -1, .decay_steps = 9}) ==
        "CosineWarmupLR: warmup -1 must be between 0 and 1000000000000");
}

TEST_CASE("CyclicLR's mistakes") {
  CHECK(complaint(CyclicLR{.base_lr = .5, .max_lr = .1}) == "CyclicLR: base_lr 0.5 is above max_lr 0.1");
  CHECK(complaint(CyclicLR{.base_lr = -.5, .max_lr = .1}) ==
        "CyclicLR: base_lr -0.5 must be a finite number, 0 or more");
  CHECK(complaint(CyclicLR{.max_lr = kNan}) == "CyclicLR: max_lr nan must be a finite number, 0 or more");
  CHECK(complaint(CyclicLR{.max_lr = .1, .step_size_up = 0}) ==
        "CyclicLR: step_size_up 0 must be between 1 and 1000000000000");
  CHECK(complaint(CyclicLR{.max_lr = .1, .step_size_down = 0}) ==
        "CyclicLR: step_size_down 0 must be between 1 and 1000000000000");
  CHECK(complaint(CyclicLR{.max_lr = .1, .mode = CyclicMode::exp_range, .gamma = 1.01}) ==
        "CyclicLR: gamma 1.01 must be above 0 and at most 1");
  CHECK(complaint(CyclicLR{.max_lr = .1, .base_momentum = .95}) ==
        "CyclicLR: base_momentum 0.95 is above max_momentum 0.9");
  CHECK(complaint(CyclicLR{.max_lr = .1, .max_momentum = 1}) ==
        "CyclicLR: base_momentum 0.8 and max_momentum 1 must be at least 0 and below 1");
  CHECK(complaint(CyclicLR{.max_lr = .1, .cycle_momentum = false, .max_momentum = 1}) == "none");

  const Schedule negative =
      CyclicLR{.max_lr = .1, .step_size_up = 2, .scale_fn = [](double) { return -1.0; }};
  CHECK_THROWS_WITH_AS(negative.at(2), "CyclicLR: scale_fn(1) = -1 makes the learning rate -0.1 at step 2",
                       Error);
  const Schedule heavy =
      CyclicLR{.base_lr = 1, .max_lr = 1.1, .step_size_up = 2, .scale_fn = [](double) { return -1.0; }};
  CHECK_THROWS_WITH_AS(heavy.at(2), "CyclicLR: scale_fn(1) = -1 makes the momentum 1 at step 2", Error);
}

TEST_CASE("OneCycleLR's mistakes") {
  CHECK(complaint(OneCycleLR{.max_lr = 1}) == "OneCycleLR: needs total_steps, or epochs and steps_per_epoch");
  CHECK(complaint(OneCycleLR{.max_lr = 1, .total_steps = -3}) ==
        "OneCycleLR: total_steps -3 must be between 1 and 1000000000000");
  CHECK(complaint(OneCycleLR{.max_lr = 1, .epochs = 3}) ==
        "OneCycleLR: steps_per_epoch 0 must be between 1 and 1000000000000");
  CHECK(complaint(OneCycleLR{.max_lr = 1, .total_steps = 7, .epochs = 3, .steps_per_epoch = 2}) ==
        "OneCycleLR: total_steps 7 is not epochs 3 * steps_per_epoch 2");
  CHECK(complaint(OneCycleLR{.max_lr = 1, .epochs = 1'000'000'000'000, .steps_per_epoch = 2}) ==
        "OneCycleLR: epochs 1000000000000 * steps_per_epoch 2 is above 1000000000000");
  CHECK(complaint(OneCycleLR{.max_lr = 1, .total_steps = 9, .pct_start = 1.1}) ==
        "OneCycleLR: pct_start 1.1 must be between 0 and 1");
  CHECK(complaint(OneCycleLR{.max_lr = 1, .total_steps = 9, .div_factor = .5}) ==
        "OneCycleLR: div_factor 0.5 must be at least 1");
  CHECK(complaint(OneCycleLR{.max_lr = 1, .total_steps = 9, .final_div_factor = 0}) ==
        "OneCycleLR: final_div_factor 0 must be above 0");
  CHECK(complaint(OneCycleLR{.max_lr = 1, .total_steps = 100, .pct_start = .6, .three_phase = true}) ==
        "OneCycleLR: three_phase with pct_start 0.6 leaves no steps for the third phase; take at most 0.5");
  CHECK(complaint(OneCycleLR{.max_lr = 1, .total_steps = 9, .base_momentum = .96}) ==
        "OneCycleLR: base_momentum 0.96 is above max_momentum 0.95");

  const Schedule schedule = OneCycleLR{.max_lr = 1, .total_steps = 10};
  CHECK_NOTHROW(schedule.at(9));
  CHECK_THROWS_WITH_AS(schedule.at(10), "OneCycleLR: step 10 is past the end of 10 steps", Error);
}

TEST_CASE("SequentialLR's mistakes") {
  CHECK(complaint(SequentialLR{}) == "SequentialLR: has no schedules");
  CHECK(complaint(SequentialLR{.schedules = {FixedLR{.1}, FixedLR{.2}}}) ==
        "SequentialLR: 2 schedules need 1 milestones, got 0");
  CHECK(complaint(SequentialLR{.schedules = {FixedLR{.1}, FixedLR{.2}, FixedLR{.3}}, .milestones = {5, 5}}) ==
        "SequentialLR: milestone 5 must be above 5 and at most 1000000000000");
  CHECK(complaint(SequentialLR{.schedules = {OneCycleLR{.max_lr = 1, .total_steps = 10}, FixedLR{.1}},
                               .milestones = {11}}) ==
        "SequentialLR: OneCycleLR has 10 steps and is to run for 11");
}

TEST_CASE("steps and runs that do not fit") {
  const Schedule cyclic = CyclicLR{.max_lr = .1};
  CHECK_THROWS_WITH_AS(cyclic.at(-1), "CyclicLR: step -1 is negative", Error);
  CHECK_THROWS_WITH_AS(tabulate(cyclic, -2), "tabulate: steps -2 is negative", Error);

  CHECK_NOTHROW(check_compatible(cyclic, .9, 5000));
  CHECK_THROWS_WITH_AS(
      check_compatible(cyclic, 0, 5000),
      "CyclicLR: cycle_momentum is on, but the optimizer has momentum 0; give it a momentum above 0 "
      "or turn cycle_momentum off",
      Error);
  CHECK_NOTHROW(check_compatible(CyclicLR{.max_lr = .1, .cycle_momentum = false}, 0, 5000));
  const Schedule one_cycle = OneCycleLR{.max_lr = 1, .total_steps = 10};
  CHECK_NOTHROW(check_compatible(one_cycle, .9, 10));
  CHECK_THROWS_WITH_AS(check_compatible(one_cycle, .9, 11),
                       "OneCycleLR: the run has 11 steps, the schedule only 10", Error);
}
