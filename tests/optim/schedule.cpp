// Values of the schedules: PyTorch's figures, tables worked out by hand, and no drift at huge steps.
#include "optim/schedule.h"

#include <doctest/doctest.h>
#include <cmath>
#include <initializer_list>

#include "core/check.h"
#include "optim/schedule_json.h"
#include "tests/core/golden.h"

using namespace galvan;

namespace {

// Every value of a case within 1e-12 of PyTorch's. See tests/golden/make_schedules.py for the blocks.
void check_blocks(const std::vector<double>& values, const nlohmann::json& blocks) {
  constexpr size_t kBlock = 20;
  REQUIRE(blocks.size() == (values.size() + kBlock - 1) / kBlock);
  for (size_t b = 0; b < blocks.size(); ++b) {
    double sum = 0, weights = 0;
    for (size_t i = b * kBlock; i < std::min(values.size(), (b + 1) * kBlock); ++i) {
      sum += static_cast<double>(1 + i % 7) * values[i];
      weights += static_cast<double>(1 + i % 7);
    }
    INFO("block ", b);
    CHECK(std::abs(values[b * kBlock] - blocks[b][0].get<double>()) <= 1e-12);
    CHECK(std::abs(sum - blocks[b][1].get<double>()) <= 1e-12 * weights);
  }
}

Schedule golden_schedule(nlohmann::json options) {
  if (!options.contains("scale_fn")) return schedule_from_json(options.dump());
  const std::string name = options["scale_fn"];
  options.erase("scale_fn");
  CyclicLR cyclic = std::get<CyclicLR>(schedule_from_json(options.dump()).policy());
  if (name == "1/(1+x)")
    cyclic.scale_fn = [](double x) { return 1 / (1 + x); };
  else if (name == "0.5*(1+sin(x))")
    cyclic.scale_fn = [](double x) { return 0.5 * (1 + std::sin(x)); };
  else
    fail("no scale_fn called ", name);
  return cyclic;
}

void check_table(const Schedule& schedule, std::initializer_list<double> lr,
                 std::initializer_list<double> momentum = {}, double tolerance = 1e-12) {
  const ScheduleTable table = tabulate(schedule, static_cast<int64_t>(lr.size()));
  for (size_t k = 0; k < lr.size(); ++k) {
    INFO("step ", k);
    CHECK(std::abs(table.lr[k] - lr.begin()[k]) <= tolerance);
    if (k < momentum.size()) CHECK(std::abs(table.momentum[k] - momentum.begin()[k]) <= tolerance);
  }
}

}  // namespace

TEST_CASE("where cycles end") {
  const Schedule cyclic = CyclicLR{.base_lr = 0.1, .max_lr = 1, .step_size_up = 3, .step_size_down = 2};
  CHECK(cyclic.cycle_end_after(0) == 5);
  CHECK(cyclic.cycle_end_after(4) == 5);
  CHECK(cyclic.cycle_end_after(5) == 10);
  const Schedule one = OneCycleLR{.max_lr = 1, .total_steps = 7};
  CHECK(one.cycle_end_after(0) == 7);
  CHECK(one.cycle_end_after(6) == 7);
  CHECK(!one.cycle_end_after(7));
  CHECK(!Schedule(FixedLR{.lr = 1}).cycle_end_after(0));
  // Two cycles, a constant that cuts the third short, then one cycle.
  const Schedule sequence =
      SequentialLR{.schedules = {cyclic, FixedLR{.lr = 1}, one}, .milestones = {12, 20}};
  CHECK(sequence.cycle_end_after(5) == 10);
  CHECK(sequence.cycle_end_after(10) == 27);
  CHECK(sequence.cycle_end_after(15) == 27);
  CHECK(!sequence.cycle_end_after(27));
  CHECK(cycle_ends(sequence, 26) == std::vector<int64_t>{5, 10});
  CHECK(cycle_ends(sequence, 27) == std::vector<int64_t>{5, 10, 27});
}

TEST_CASE("Smith's own 1cycle: as long down as up, and a tail") {
  const Schedule smith = smith_one_cycle(1, 100);
  CHECK(smith.at(0).lr == doctest::Approx(0.1));
  CHECK(smith.at(0).momentum == doctest::Approx(0.95));
  CHECK(smith.at(22).lr == doctest::Approx(0.55));
  CHECK(smith.at(44).lr == doctest::Approx(1));
  CHECK(smith.at(44).momentum == doctest::Approx(0.85));
  CHECK(smith.at(66).lr == doctest::Approx(0.55));
  CHECK(smith.at(88).lr == doctest::Approx(0.1));
  CHECK(smith.at(88).momentum == doctest::Approx(0.95));
  CHECK(smith.at(99).lr == doctest::Approx(1e-4));
  CHECK(smith.at(99).momentum == doctest::Approx(0.95));
}

TEST_CASE("schedules equal PyTorch's over whole runs") {
  const nlohmann::json cases = golden_file("schedules.json");
  REQUIRE(cases.size() == 25);
  for (const nlohmann::json& c : cases) {
    INFO(c["schedule"].dump());
    const Schedule schedule = golden_schedule(c["schedule"]);
    const ScheduleTable table = tabulate(schedule, c["steps"], 0.9);
    check_blocks(table.lr, c["lr"]);
    CHECK(schedule.cycles_momentum() == c.contains("momentum"));
    if (c.contains("momentum")) check_blocks(table.momentum, c["momentum"]);
  }
}

TEST_CASE("CyclicLR, tables by hand") {
  check_table(CyclicLR{.base_lr = .1, .max_lr = .5, .step_size_up = 4},
              {.1, .2, .3, .4, .5, .4, .3, .2, .1, .2}, {.9, .875, .85, .825, .8, .825, .85, .875, .9, .875});
  check_table(CyclicLR{.base_lr = .1, .max_lr = .5, .step_size_up = 4, .step_size_down = 2},
              {.1, .2, .3, .4, .5, .3, .1, .2, .3, .4, .5, .3});
  check_table(CyclicLR{.base_lr = .1, .max_lr = .5, .step_size_up = 2, .mode = CyclicMode::triangular2},
              {.1, .3, .5, .3, .1, .2, .3, .2, .1, .15, .2, .15}, {.9, .85, .8, .85, .9, .875, .85, .875});
  check_table(
      CyclicLR{.base_lr = .1, .max_lr = .5, .step_size_up = 2, .mode = CyclicMode::exp_range, .gamma = .9},
      {.1, .28, .424, .2458, .1, .218098, .3125764, .19565938});
  check_table(CyclicLR{.base_lr = .1,
                       .max_lr = .5,
                       .step_size_up = 2,
                       .scale_fn = [](double x) { return 1 / (1 + x); },
                       .scale_mode = ScaleMode::iterations},
              {.1, .2, .7 / 3, .15, .1, .4 / 3});
}

TEST_CASE("CyclicLR without momentum cycling leaves the optimizer's momentum alone") {
  const Schedule schedule = CyclicLR{.base_lr = .1, .max_lr = .5, .step_size_up = 3, .cycle_momentum = false};
  CHECK_FALSE(schedule.at(2).momentum.has_value());
  CHECK(tabulate(schedule, 5, .77).momentum == std::vector<double>(5, .77));
}

TEST_CASE("a scale function takes the place of the mode") {
  const auto one = [](double) { return 1.0; };
  const Schedule schedule = CyclicLR{
      .base_lr = .1, .max_lr = .5, .step_size_up = 2, .mode = CyclicMode::triangular2, .scale_fn = one};
  CHECK(schedule.at(6).lr == .5);
}

TEST_CASE("OneCycleLR, table by hand") {
  check_table(OneCycleLR{.max_lr = 1, .total_steps = 10},
              {.04, .52, 1, .950485, .811746, .611262, .388742, .188258, .0495194, 4e-6}, {}, 2e-6);
  const Schedule by_epochs = OneCycleLR{.max_lr = 1, .epochs = 5, .steps_per_epoch = 2};
  CHECK(by_epochs.length() == 10);
  CHECK(by_epochs.at(1).lr == doctest::Approx(.52));
}

TEST_CASE("OneCycleLR where PyTorch divides by zero") {
  // pct_start T = 1: the rise has no length, so the run starts at the top.
  const Schedule schedule =
      OneCycleLR{.max_lr = 1, .total_steps = 5, .pct_start = .2, .anneal_strategy = Anneal::linear};
  const double min = 1 / 25. / 1e4;
  check_table(schedule, {1, 1 - (1 - min) / 4, 1 - (1 - min) / 2, 1 - 3 * (1 - min) / 4, min},
              {.85, .875, .9, .925, .95});
  CHECK(Schedule(OneCycleLR{.max_lr = 1, .total_steps = 1}).at(0).lr == doctest::Approx(min));
  CHECK(Schedule(OneCycleLR{.max_lr = 1, .total_steps = 1, .pct_start = 1}).at(0).lr == doctest::Approx(min));
  const Schedule three = OneCycleLR{.max_lr = 1, .total_steps = 5, .pct_start = .2, .three_phase = true};
  CHECK(three.at(0).lr == doctest::Approx(.04));
  CHECK(three.at(4).lr == doctest::Approx(min));
}

TEST_CASE("cosine with warm-up meets its corners") {
  const Schedule schedule = CosineWarmupLR{.lr = 1, .min_lr = .1, .warmup = 4, .decay_steps = 10};
  check_table(schedule, {.2, .4, .6, .8, 1});
  CHECK(schedule.at(7).lr == doctest::Approx(.55));
  CHECK(schedule.at(10).lr == .1);
  CHECK(schedule.at(1'000'000'000).lr == .1);
  const Schedule all_warmup = CosineWarmupLR{.lr = 1, .min_lr = .1, .warmup = 3, .decay_steps = 3};
  check_table(all_warmup, {.25, .5, .75, .1});
}

TEST_CASE("fixed and sequential schedules") {
  CHECK(Schedule(FixedLR{.lr = .3}).at(12345).lr == .3);
  const Schedule chain = SequentialLR{.schedules = {CyclicLR{.base_lr = 0, .max_lr = 1, .step_size_up = 2},
                                                    OneCycleLR{.max_lr = 1, .total_steps = 10}},
                                      .milestones = {3}};
  check_table(chain, {0, .5, 1, .04, .52, 1}, {.9, .85, .8, .95, .9, .85});
  CHECK(chain.length() == 13);
  CHECK(chain.cycles_momentum());
}

TEST_CASE("nothing drifts after a thousand million steps") {
  constexpr int64_t kFar = 1'000'000'000;
  for (const auto& [up, down] : {std::pair{400, 400}, {3, 4}, {999, 1}}) {
    const Schedule cyclic =
        CyclicLR{.base_lr = .001, .max_lr = .1, .step_size_up = up, .step_size_down = down};
    const int64_t whole = kFar / (up + down) * (up + down);
    for (int64_t k = 0; k < up + down; ++k) {
      CHECK(cyclic.at(whole + k).lr == cyclic.at(k).lr);
      CHECK(cyclic.at(whole + k).momentum == cyclic.at(k).momentum);
    }
  }
  const Schedule cosine = CosineAnnealingLR{.lr = .1, .T_max = 7};
  for (int64_t k = 0; k < 14; ++k) CHECK(cosine.at(kFar / 14 * 14 + k).lr == cosine.at(k).lr);
  const Schedule flat =
      CyclicLR{.base_lr = .1, .max_lr = .5, .step_size_up = 2, .mode = CyclicMode::triangular2};
  CHECK(flat.at(kFar + 2).lr == .1);
}

TEST_CASE("fit_cycles ends a run at a cycle's end") {
  const CyclicLR fitted = fit_cycles({.base_lr = .001, .max_lr = .1}, 2400, 3);
  CHECK(fitted.step_size_up == 400);
  CHECK(fitted.step_size_down == 400);
  const CyclicLR odd = fit_cycles({.base_lr = .001, .max_lr = .1}, 15, 3, .25);
  CHECK(odd.step_size_up == 1);
  CHECK(odd.step_size_down == 4);
  CHECK(Schedule(odd).at(15).lr == .001);
  CHECK(Schedule(odd).at(11).lr == .1);
  CHECK_THROWS_WITH_AS(fit_cycles({}, 2000, 3),
                       "fit_cycles: 2000 steps are not 3 whole cycles; take 1998 or 2001", Error);
  CHECK_THROWS_WITH_AS(fit_cycles({}, 5, 3),
                       "fit_cycles: 5 steps are too few for 3 cycles of at least 2 steps", Error);
  CHECK_THROWS_WITH_AS(fit_cycles({}, 5, 0), "fit_cycles: cycles 0 must be at least 1", Error);
  CHECK_THROWS_WITH_AS(fit_cycles({}, 4, 2, 1.), "fit_cycles: up_fraction 1 must be between 0 and 1", Error);
}
