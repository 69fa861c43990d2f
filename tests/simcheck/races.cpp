// Planted races: each is seen, and the message says where. Beside each stands the kernel without the mistake.
#include <doctest/doctest.h>

#include <string>

#include "planted.h"

using namespace galvan;
using sim::error_of_launch;

namespace {

enum Order { nothing, warp, block };

// y[i] = n - 1 - i by way of shared memory.
template <Order kOrder>
__global__ void reverse(float* y) {
  GALVAN_SHARED(float[64], tile);
  const unsigned i = threadIdx.x, n = blockDim.x;
  tile[i] = 0;
  __syncthreads();  // all is zero before some of it is written
  tile[i] = static_cast<float>(i);
  if (kOrder == warp) __syncwarp();
  if (kOrder == block) __syncthreads();  // all is there before it is read
  y[i] = tile[n - 1 - i];
}

// y[0] += 1 by every thread, in turn as it seems.
__global__ void count_without_atomics(float* y) { y[0] += 1; }
__global__ void count(float* y) { atomicAdd(reinterpret_cast<int*>(y), 1); }
__global__ void count_and_read(float* y) {
  atomicAdd(reinterpret_cast<int*>(y), 1);
  if (threadIdx.x == 0) y[1] = y[0];
}

// The next loop's writes overtake this one's reads.
template <bool kOrdered>
__global__ void reuse(float* y) {
  GALVAN_SHARED(float, total);
  for (int step = 0; step < 2; ++step) {
    if (threadIdx.x == 0) total = static_cast<float>(step);
    __syncthreads();  // the total is there before it is read
    y[threadIdx.x] += total;
    if (kOrdered) __syncthreads();  // it is read before it is overwritten
  }
}

// A shuffle brings every lane here, but does not make their writes visible.
__global__ void shuffle_as_barrier(float* y) {
  GALVAN_SHARED(float[32], tile);
  const unsigned lane = threadIdx.x;
  tile[lane] = 0;
  __syncwarp();
  tile[lane] = 1;
  const float one = __shfl_xor_sync(0xffffffffu, 1.f, 1);
  y[lane] = one + tile[lane ^ 1];
}

// Two parts of one word.
__global__ void halves(float* y) { reinterpret_cast<uint16_t*>(y)[threadIdx.x] = 1; }
__global__ void halves_and_wholes(float* y) {
  if (threadIdx.x % 2 == 0) {
    reinterpret_cast<uint16_t*>(y)[threadIdx.x + 1] = 1;
  } else {
    reinterpret_cast<int*>(y)[threadIdx.x / 2] = 1;
  }
}

__global__ void add_one(float* y) { y[threadIdx.x] += 1; }
__global__ void sum_of_neighbours(const float* x, float* y) { y[threadIdx.x] = x[threadIdx.x ^ 1]; }

// The order in which blocks come decides: no race, as all is atomic, and yet not the same bits.
__global__ void who_is_first(float* y) {
  int* const next = reinterpret_cast<int*>(y);
  next[1 + threadIdx.x] = atomicAdd(next, 1);
}

// Between the parts stand lines' numbers.
void check_parts(const std::string& error, const std::string& begin, const std::string& middle,
                 const std::string& end) {
  CAPTURE(error);
  CHECK(error.starts_with(begin));
  CHECK(error.find(middle) != error.npos);
  CHECK(error.ends_with(end));
}

}  // namespace

TEST_CASE("shared memory that another thread writes and reads") {
  check_parts(error_of_launch<reverse<nothing>>(1, 64),
              "reverse<nothing>, block (0,0,0), thread (32,0,0) at tests/simcheck/races.cpp:",
              ": writes 4 bytes of shared memory that block (0,0,0), thread (31,0,0) has read at "
              "tests/simcheck/races.cpp:",
              ", and no barrier orders the two");
  CHECK(error_of_launch<reverse<block>>(1, 64) == "");
  CHECK(error_of_launch<reverse<warp>>(1, 32) == "");
  check_parts(error_of_launch<reverse<warp>>(1, 64), "reverse<warp>, block (0,0,0), thread (32,0,0) at ",
              ": writes 4 bytes of shared memory that block (0,0,0), thread (31,0,0) has read at ",
              ", and no barrier orders the two");
}

TEST_CASE("a loop's next write overtakes a read") {
  check_parts(error_of_launch<reuse<false>>(1, 40), "reuse<false>, block (0,0,0), thread (1,0,0) at ",
              ": reads 4 bytes of shared memory that block (0,0,0), thread (0,0,0) has written at ",
              ", and no barrier orders the two");
  CHECK(error_of_launch<reuse<true>>(1, 40) == "");
}

TEST_CASE("a shuffle orders no accesses") {
  check_parts(error_of_launch<shuffle_as_barrier>(1, 32), "shuffle_as_barrier",
              "reads 4 bytes of shared memory that block (0,0,0), thread (", "and no barrier orders the two");
}

TEST_CASE("threads and blocks that add to one number") {
  check_parts(
      error_of_launch<count_without_atomics>(1, 2), "count_without_atomics, block (0,0,0), thread (1,0,0)",
      "4 bytes of global memory that block (0,0,0), thread (0,0,0) has ", "no barrier orders the two");
  check_parts(error_of_launch<count_without_atomics>(2, 1),
              "count_without_atomics, block (1,0,0), thread (0,0,0)",
              "4 bytes of global memory that block (0,0,0), thread (0,0,0) has ", "nothing orders the two");
  CHECK(error_of_launch<count>(3, 70) == "");
  check_parts(error_of_launch<count_and_read>(1, 2), "count_and_read",
              "4 bytes of global memory that block (0,0,0), thread (0,0,0) has read",
              "no barrier orders the two");
}

TEST_CASE("threads that write parts of one word") {
  CHECK(error_of_launch<halves>(1, 33) == "");
  check_parts(error_of_launch<halves_and_wholes>(1, 8), "halves_and_wholes, block (0,0,0), thread (1,0,0)",
              "writes 4 bytes of global memory that block (0,0,0), thread (0,0,0) has written",
              "no barrier orders the two");
}

TEST_CASE("launches on two streams are ordered by an event or by the host") {
  const sim::Zeros x, y;
  const Stream first, second;
  const Event done;
  launch<add_one>(1, 8, 0, first, static_cast<float*>(x));
  launch<sum_of_neighbours>(1, 8, 0, first, static_cast<const float*>(x), static_cast<float*>(y));
  done.record(first);
  SUBCASE("by nothing") {
    launch<add_one>(1, 8, 0, second, static_cast<float*>(x));
    cudaDeviceSynchronize();
    check_parts(
        sim::take_error(), "add_one, block (0,0,0), thread (0,0,0)",
        ": reads 4 bytes of global memory that add_one, block (0,0,0), thread (0,0,0), has written at ",
        "no stream, event or wait orders the two");
  }
  SUBCASE("by an event") {
    cudaStreamWaitEvent(second, done, 0);
    launch<add_one>(1, 8, 0, second, static_cast<float*>(x));
    cudaDeviceSynchronize();
    CHECK(sim::take_error() == "");
  }
  SUBCASE("by the host") {
    done.synchronize();
    launch<add_one>(1, 8, 0, second, static_cast<float*>(x));
    cudaDeviceSynchronize();
    CHECK(sim::take_error() == "");
  }
  SUBCASE("a copy by nothing") {
    float host[8];
    cudaMemcpy(host, y, sizeof host, cudaMemcpyDeviceToHost);
    check_parts(sim::take_error(),
                "cudaMemcpy: reads memory of the card that sum_of_neighbours, block (0,0,0), thread (",
                "has written at tests/simcheck/races.cpp:", "no stream, event or wait orders the two");
  }
}

TEST_CASE("results that depend on who comes first") {
  check_parts(error_of_launch<who_is_first>(1, 8),
              "who_is_first: leaves other bits when its threads take turns in reverse",
              "written by block (0,0,0), thread (", "");
}
