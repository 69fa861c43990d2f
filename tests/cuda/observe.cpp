// What a card tells of launches, and its clock.
#include <doctest/doctest.h>

#include <cmath>
#include <vector>

#include "core/autograd.h"
#include "core/cuda_backend.h"
#include "core/ops.h"

using namespace galvan;

TEST_CASE("what is known of a launch") {
  const Tensor x = Tensor::ones({64, 96}, {.device = kCuda});
  softmax(x);
  const std::vector<cuda_backend::LaunchFacts> launches =
      cuda_backend::launches_of(kCuda, [&] { softmax(x); });
  REQUIRE(launches.size() == 1);
  CHECK(launches[0].kernel.starts_with("softmax_forward_warp_per_row"));
  CHECK(launches[0].grid[0] == 16);
  CHECK(launches[0].grid[1] == 1);
  CHECK(launches[0].block[0] == 128);
  CHECK(launches[0].registers > 0);
  CHECK(launches[0].occupancy > 0);
  CHECK(launches[0].occupancy <= 1);
  CHECK(launches[0].shared_bytes == 0);
}

TEST_CASE("calls are timed by events, warm and cold, forward and backward") {
  Tensor x = Tensor::ones({64, 96}, {.device = kCuda});
  x.set_requires_grad();
  const Tensor dy = Tensor::ones({64, 96}, {.device = kCuda});
  const cuda_backend::CardTimes times = cuda_backend::time_on_card(
      kCuda, [&] { grad(std::vector{softmax(x)}, std::vector{x}, std::vector{dy}); }, 3);
  CHECK(times.warm.size() == 3);
  CHECK(times.cold.size() == 3);
  for (const double seconds : times.warm) CHECK((std::isfinite(seconds) && seconds > 0));
  for (const double seconds : times.cold) CHECK((std::isfinite(seconds) && seconds >= 0));
}
