// Schedules as text, there and back.
#include "optim/schedule_json.h"

#include <doctest/doctest.h>

#include "core/check.h"

using namespace galvan;

TEST_CASE("every policy survives text, to the last bit") {
  const Schedule schedules[] = {
      FixedLR{.lr = 1. / 3},
      StepLR{.lr = .1, .step_size = 7, .gamma = .3},
      ExponentialLR{.lr = .1, .gamma = .99},
      CosineAnnealingLR{.lr = .1, .T_max = 31, .eta_min = .01},
      CosineWarmupLR{.lr = 6e-4, .min_lr = 6e-5, .warmup = 5, .decay_steps = 30},
      CyclicLR{.base_lr = .1 / 3,
               .max_lr = .5,
               .step_size_up = 5,
               .step_size_down = 3,
               .mode = CyclicMode::exp_range,
               .gamma = .97,
               .scale_mode = ScaleMode::iterations,
               .base_momentum = .7,
               .max_momentum = .99},
      CyclicLR{.max_lr = .5, .mode = CyclicMode::triangular2, .cycle_momentum = false},
      OneCycleLR{.max_lr = .7,
                 .epochs = 4,
                 .steps_per_epoch = 10,
                 .pct_start = .4,
                 .anneal_strategy = Anneal::linear,
                 .base_momentum = .5,
                 .max_momentum = .6,
                 .div_factor = 3,
                 .final_div_factor = 7,
                 .three_phase = true},
      SequentialLR{
          .schedules = {FixedLR{.lr = .2}, SequentialLR{.schedules = {ExponentialLR{.lr = 1, .gamma = .5}}}},
          .milestones = {9}}};
  for (const Schedule& schedule : schedules) {
    const std::string text = to_json(schedule);
    INFO(text);
    const Schedule back = schedule_from_json(text);
    CHECK(to_json(back) == text);
    for (int64_t k = 0; k < 40; ++k) {
      CHECK(back.at(k).lr == schedule.at(k).lr);
      CHECK(back.at(k).momentum == schedule.at(k).momentum);
    }
  }
}

TEST_CASE("text forms") {
  CHECK(to_json(StepLR{.lr = .1, .step_size = 7}) ==
        R"({"policy":"StepLR","lr":0.1,"step_size":7,"gamma":0.1})");
  CHECK(describe(StepLR{.lr = .1, .step_size = 7}) == "StepLR(lr=0.1, step_size=7, gamma=0.1)");
  CHECK(describe(CyclicLR{.max_lr = .1, .scale_fn = [](double) { return 1.0; }}) ==
        "CyclicLR(base_lr=0.0, max_lr=0.1, step_size_up=2000, mode=triangular, gamma=1.0, scale_fn=function, "
        "scale_mode=cycle, cycle_momentum=true, base_momentum=0.8, max_momentum=0.9)");
  CHECK(describe(SequentialLR{.schedules = {FixedLR{.lr = 1}, FixedLR{.lr = .5}}, .milestones = {8}}) ==
        "SequentialLR(schedules=[FixedLR(lr=1.0), FixedLR(lr=0.5)], milestones=[8])");
  CHECK(std::get<CyclicLR>(schedule_from_json(R"({"policy":"CyclicLR","max_lr":1})").policy()).step_size_up ==
        2000);
  CHECK(parse_cyclic_mode("exp_range") == CyclicMode::exp_range);
  CHECK(parse_scale_mode("iterations") == ScaleMode::iterations);
  CHECK(parse_anneal("linear") == Anneal::linear);
}

TEST_CASE("text that is no schedule") {
  const auto read = [](const char* text) { return schedule_from_json(text); };
  CHECK_THROWS_WITH_AS(read("{"), "schedule: not JSON: {", Error);
  CHECK_THROWS_WITH_AS(read("[1]"), "schedule: must be an object with a \"policy\", got [1]", Error);
  CHECK_THROWS_WITH_AS(read(R"({"policy":3})"), "schedule: policy must be a name in quotes, got 3", Error);
  CHECK_THROWS_WITH_AS(read(R"({"policy":"Cyclic"})"),
                       "schedule: unknown policy \"Cyclic\", choose from FixedLR, StepLR, ExponentialLR, "
                       "CosineAnnealingLR, CosineWarmupLR, CyclicLR, OneCycleLR, SequentialLR",
                       Error);
  CHECK_THROWS_WITH_AS(read(R"({"policy":"StepLR","lr":1,"step":3})"),
                       "StepLR: unknown option \"step\", it has lr, step_size, gamma", Error);
  CHECK_THROWS_WITH_AS(read(R"({"policy":"StepLR","lr":"a"})"), "StepLR: lr must be a number, got \"a\"",
                       Error);
  CHECK_THROWS_WITH_AS(read(R"({"policy":"StepLR","step_size":1.5})"),
                       "StepLR: step_size must be a whole number, got 1.5", Error);
  CHECK_THROWS_WITH_AS(read(R"({"policy":"OneCycleLR","three_phase":1})"),
                       "OneCycleLR: three_phase must be true or false, got 1", Error);
  CHECK_THROWS_WITH_AS(
      read(R"({"policy":"CyclicLR","mode":"square"})"),
      "CyclicLR: mode: unknown value \"square\", choose from triangular, triangular2, exp_range", Error);
  CHECK_THROWS_WITH_AS(read(R"({"policy":"CyclicLR","scale_fn":"x"})"),
                       "CyclicLR: scale_fn cannot be read from text: it is code", Error);
  CHECK_THROWS_WITH_AS(read(R"({"policy":"SequentialLR","schedules":3})"),
                       "SequentialLR: schedules must be a list, got 3", Error);
  CHECK_THROWS_WITH_AS(read(R"({"policy":"StepLR","lr":-1})"),
                       "StepLR: lr -1 must be a finite number, 0 or more", Error);
  CHECK_THROWS_WITH_AS(to_json(CyclicLR{.max_lr = .1, .scale_fn = [](double) { return 1.0; }}),
                       "CyclicLR: scale_fn cannot be written as text: it is code", Error);
  CHECK_THROWS_WITH_AS(parse_anneal("cosine"),
                       "anneal_strategy: unknown value \"cosine\", choose from cos, linear", Error);
}
