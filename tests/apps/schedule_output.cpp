// What `galvan schedule` prints.
#include "apps/schedule_output.h"

#include <doctest/doctest.h>
#include <cstdlib>
#include <sstream>

#include "core/check.h"

using namespace galvan;

namespace {

std::string csv(const Schedule& schedule, int64_t steps, std::optional<double> momentum = {}) {
  std::ostringstream out;
  print_schedule_csv(out, schedule, steps, momentum);
  return out.str();
}

}  // namespace

TEST_CASE("CSV has 17 significant digits") {
  CHECK(csv(FixedLR{.lr = .1}, 2, .9) ==
        "step,lr,momentum\n0,0.10000000000000001,0.90000000000000002\n1,0.10000000000000001,0."
        "90000000000000002\n");
  CHECK(csv(
            CyclicLR{
                .base_lr = .125, .max_lr = .5, .step_size_up = 2, .base_momentum = .75, .max_momentum = .875},
            3) == "step,lr,momentum\n0,0.125,0.875\n1,0.3125,0.8125\n2,0.5,0.75\n");
  CHECK(csv(FixedLR{.lr = .5}, 2) == "step,lr,momentum\n0,0.5,\n1,0.5,\n");
  CHECK(csv(FixedLR{.lr = .5}, 1, .25) == "step,lr,momentum\n0,0.5,0.25\n");
  CHECK(csv(FixedLR{.lr = .5}, 0) == "step,lr,momentum\n");
  CHECK_THROWS_WITH_AS(csv(FixedLR{.lr = .5}, -1), "schedule: steps -1 is negative", Error);
  CHECK_THROWS_WITH_AS(csv(OneCycleLR{.max_lr = 1, .total_steps = 5}, 6),
                       "OneCycleLR: step 5 is past the end of 5 steps", Error);
}

TEST_CASE("CSV reads back to the same bits") {
  const Schedule schedule = OneCycleLR{.max_lr = .3, .total_steps = 97};
  std::istringstream lines(csv(schedule, 97));
  std::string line;
  std::getline(lines, line);
  for (int64_t k = 0; k < 97; ++k) {
    REQUIRE(std::getline(lines, line));
    char* next = nullptr;
    CHECK(std::strtoll(line.c_str(), &next, 10) == k);
    CHECK(std::strtod(next + 1, &next) == schedule.at(k).lr);
    CHECK(std::strtod(next + 1, &next) == schedule.at(k).momentum);
  }
}

TEST_CASE("a schedule's charts") {
  const auto both = schedule_charts(CyclicLR{.max_lr = .5, .step_size_up = 4}, 9);
  REQUIRE(both.size() == 2);
  CHECK(both[0].title == "CyclicLR");
  CHECK(both[0].series[0].y.size() == 9);
  CHECK(both[1].series[0].y[4] == doctest::Approx(.8));
  CHECK(both[1].x_label == "step");
  CHECK(schedule_charts(FixedLR{.lr = .5}, 3).size() == 1);
}
