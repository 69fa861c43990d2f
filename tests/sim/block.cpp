// What the simulator does with the threads of a block.
#include <doctest/doctest.h>

#include <string>

#include "cuda/dialect.h"
#include "cuda/sim/memory.h"

using namespace galvan;

namespace {

__global__ void reverse_in_shared(const float* x, float* y) {
  GALVAN_SHARED(float[64], tile);
  tile[threadIdx.x] = x[threadIdx.x];
  __syncthreads();  // all is there before it is read
  y[threadIdx.x] = tile[63 - threadIdx.x];
}

__global__ void half_at_barrier(int*) {
  if (threadIdx.x < 3) __syncthreads();
}

__global__ void shuffle_past_the_end(float* y) { y[threadIdx.x] = __shfl_xor_sync(0xffffffffu, 1.f, 1); }

__global__ void split_warp(float* y) {
  if (threadIdx.x > 0) {
    y[threadIdx.x] = __shfl_xor_sync(0xffffffffu, 1.f, 1);
  } else {
    __syncthreads();
  }
}

// Runs kernel<...> on 64 floats each way; gives what the simulator has to say, or "".
template <auto kKernel, class... Args>
std::string error_of(unsigned threads, Args... args) {
  sim::Block block;
  const sim::Launch launch{sim::kernel_name<kKernel>(), 1, threads, 0};
  try {
    block.run(launch, {}, [&] { kKernel(args...); });
  } catch (const sim::KernelError& error) {
    return error.what();
  }
  return "";
}

}  // namespace

TEST_CASE("threads exchange values through shared memory, in any order") {
  for (const auto kind : {sim::ThreadOrder::forward, sim::ThreadOrder::reverse, sim::ThreadOrder::shuffled}) {
    sim::set_thread_order({kind, 5});
    float x[64], y[64];
    for (int i = 0; i < 64; ++i) x[i] = static_cast<float>(i);
    CHECK(error_of<reverse_in_shared>(64, x, y) == "");
    for (int i = 0; i < 64; ++i) CHECK(y[i] == static_cast<float>(63 - i));
  }
  sim::set_thread_order({});
}

TEST_CASE("a barrier that not all threads reach") {
  const std::string error = error_of<half_at_barrier>(8, static_cast<int*>(nullptr));
  CHECK(error.starts_with("half_at_barrier, block (0,0,0), thread (0,0,0) waits at the barrier of "));
  CHECK(error.ends_with(", but thread 3 has ended"));
}

TEST_CASE("a shuffle that names lanes which the block does not have") {
  float y[64];
  const std::string error = error_of<shuffle_past_the_end>(40, y);
  CHECK(error.ends_with("__shfl_xor_sync names lane 8, which the block does not have"));
}

TEST_CASE("a warp that is split between a shuffle and a barrier") {
  float y[64];
  const std::string error = error_of<split_warp>(32, y);
  CHECK(error.ends_with("__shfl_xor_sync waits for lanes that do not come to it"));
}
