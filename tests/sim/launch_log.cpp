// What is known of launches without running them.
#include "cuda/sim/launch_log.h"

#include <doctest/doctest.h>

#include "cuda/dialect.h"

using namespace galvan;

namespace {

__global__ void do_nothing() {}

}  // namespace

TEST_CASE("occupancy: threads, registers, shared memory or blocks are what there is too little of") {
  CHECK(sim::occupancy(256, 32, 0) == 1.0);
  CHECK(sim::occupancy(256, 0, 0) == 1.0);
  CHECK(sim::occupancy(1024, 64, 0) == 0.5);
  CHECK(sim::occupancy(128, 238, 0) == 8.0 / 64);  // as docs/kernels.md has it of flash_gradients
  CHECK(sim::occupancy(128, 86, 0) == 20.0 / 64);  // and of norm_backward_columns
  CHECK(sim::occupancy(128, 32, 100 * 1024) == 8.0 / 64);
  CHECK(sim::occupancy(32, 16, 0) == 0.5);  // 32 blocks of a warp
  CHECK(sim::occupancy(48, 32, 0) == 1.0);  // two warps a block
}

TEST_CASE("launches are written down while somebody wants them") {
  cudaStream_t stream = nullptr;
  REQUIRE(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking) == cudaSuccess);
  launch<do_nothing>(3, 32, 0, stream);
  sim::start_launch_log();
  launch<do_nothing>(dim3(2, 3), 64, 1024, stream);
  launch<do_nothing>(1, 32, 0, stream);
  const std::vector<sim::LoggedLaunch> launches = sim::take_launch_log();
  launch<do_nothing>(5, 32, 0, stream);
  REQUIRE(launches.size() == 2);
  CHECK(launches[0].kernel == "do_nothing");
  CHECK(launches[0].grid.y == 3);
  CHECK(launches[0].block.x == 64);
  CHECK(launches[0].shared_bytes == 1024);
  CHECK(launches[0].registers == 0);  // it is not one of the project's
  CHECK(launches[1].grid.x == 1);
  CHECK(sim::take_launch_log().empty());
  CHECK(cudaStreamDestroy(stream) == cudaSuccess);
}
