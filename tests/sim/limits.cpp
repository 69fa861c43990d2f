// What a launch may not ask for, and what must be given back.
#include "cuda/sim/limits.h"

#include <cuda_runtime.h>
#include <doctest/doctest.h>

#include <sstream>
#include <string>

#include "cuda/sim/memory.h"
#include "marked.h"

using namespace galvan;

namespace {

std::string refusal(dim3 grid, dim3 block, size_t shared_bytes) {
  try {
    sim::check_limits({"nothing", grid, block, shared_bytes}, {});
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

}  // namespace

TEST_CASE("launches that the card has no room for") {
  const std::string begin = "nothing: cannot be launched as ";
  CHECK(refusal(2, 1024, sim::kSharedLimit) == "");
  CHECK(refusal(1, 1025, 0) ==
        begin +
            "(1,1,1) blocks of (1025,1,1) threads with 0 bytes of shared memory: a block has "
            "1 to 1024 threads");
  CHECK(refusal(1, {1, 1, 65}, 0) ==
        begin +
            "(1,1,1) blocks of (1,1,65) threads with 0 bytes of shared memory: a block "
            "has at most 64 threads along z");
  CHECK(refusal(0, 32, 0) ==
        begin +
            "(0,1,1) blocks of (32,1,1) threads with 0 bytes of shared memory: a grid has at least 1 block");
  CHECK(refusal({1, 65536}, 1, 0) ==
        begin +
            "(1,65536,1) blocks of (1,1,1) threads with 0 bytes of shared memory: a "
            "grid has at most 2147483647, 65535 and 65535 blocks along x, y and z");
  CHECK(refusal(1, 1, sim::kSharedLimit + 1) == begin +
                                                    "(1,1,1) blocks of (1,1,1) threads with 232449 bytes of "
                                                    "shared memory: a block has at most 232448 bytes");
}

TEST_CASE("threads that need more registers than a block has") {
  std::istringstream text(
      "| file | kernel | instances | registers, least | most | static shared | local |\n"
      "|---|---|---|---|---|---|---|\n"
      "| a.cu | wide | 2 | 60 | 65 | 0 | 0 |\n"
      "| b.cu | wide | 1 | 30 | 30 | 0 | 0 |\n"
      "| b.cu | narrow | 1 | 64 | 64 | 0 | 0 |\n");
  const sim::RegisterTable table = sim::read_register_table(text);
  CHECK(table == sim::RegisterTable{{"wide", 65}, {"narrow", 64}});
  const auto check = [&](const char* kernel, unsigned threads) {
    sim::check_limits({kernel, 1, threads, 0}, table);
  };
  check("narrow", 1024);
  check("others::unknown<float>", 1024);
  check("some::wide<float, true>", 896);
  CHECK_THROWS_WITH_AS(
      check("some::wide<float, true>", 897),
      "some::wide<float, true>: cannot be launched as (1,1,1) blocks of (897,1,1) threads with 0 bytes "
      "of shared memory: its threads need 72 registers each by nvcc's report (docs/kernels.md), and a "
      "block has 65536",
      Error);
}

TEST_CASE("the project's own table of registers is there") {
  CHECK(sim::register_table().size() > 20);
  CHECK(sim::register_table().count("softmax_forward_warp_per_row") == 1);
}

TEST_CASE("memory that has not been freed") {
  const std::string before = sim::unfreed_memory();
  void *on_card, *pinned;
  cudaMalloc(&on_card, 300);     // @card
  cudaMallocHost(&pinned, 500);  // @pinned
  const std::string unfreed = sim::unfreed_memory();
  CHECK(unfreed.find("simulator: 300 bytes of the card's memory, asked for at " + line("card") +
                     ", have not been freed\n") != unfreed.npos);
  CHECK(unfreed.find("simulator: 500 bytes of pinned memory, asked for at " + line("pinned") +
                     ", have not been freed\n") != unfreed.npos);
  cudaFree(on_card);
  cudaFreeHost(pinned);
  CHECK(sim::unfreed_memory() == before);
}
