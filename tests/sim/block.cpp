// What the simulator does with the threads of a block.
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <string>

#include "cuda/dialect.h"
#include "marked.h"

using namespace galvan;

namespace {

__global__ void reverse_in_shared(const float* x, float* y) {
  GALVAN_SHARED(float[64], tile);
  tile[threadIdx.x] = x[threadIdx.x];
  __syncthreads();  // all is there before it is read
  y[threadIdx.x] = tile[63 - threadIdx.x];
}

__global__ void reduce_lanes(const int* x, int* y) {
  const unsigned mask = threadIdx.x < 8 ? 0xffu : 0xffffff00u;
  int* const out = y + 6 * threadIdx.x;
  const int value = x[threadIdx.x];
  const unsigned bits = static_cast<unsigned>(value);
  out[0] = __reduce_add_sync(mask, value);
  out[1] = __reduce_min_sync(mask, value);
  out[2] = __reduce_max_sync(mask, value);
  out[3] = static_cast<int>(__reduce_and_sync(mask, bits));
  out[4] = static_cast<int>(__reduce_or_sync(mask, bits));
  out[5] = static_cast<int>(__reduce_xor_sync(mask, bits));
}

__global__ void half_at_barrier(int*) {
  if (threadIdx.x < 3) __syncthreads();  // @half
}

__global__ void two_barriers(int*) {
  if (threadIdx.x < 3) {
    __syncthreads();  // @one
  } else {
    __syncthreads();  // @the other
  }
}

__global__ void barrier_in_a_loop(int*) {
  for (unsigned i = 0; i <= threadIdx.x / 32; ++i) __syncthreads();  // @loop
}

__global__ void shuffle_past_the_end(float* y) {
  y[threadIdx.x] = __shfl_xor_sync(0xffffffffu, 1.f, 1);  // @past the end
}

__global__ void shuffle_without_oneself(float* y) {
  y[threadIdx.x] = __shfl_xor_sync(0xfffffffeu, 1.f, 1);  // @without oneself
}

__global__ void shuffle_from_outside(float* y) {
  if (threadIdx.x < 8) y[threadIdx.x] = __shfl_sync(0xffu, 1.f, 8);  // @from outside
}

__global__ void shuffle_with_the_ended(float* y) {
  if (threadIdx.x == 5) return;
  y[threadIdx.x] = __shfl_down_sync(0xffffffffu, 1.f, 1);  // @with the ended
}

__global__ void shuffle_by_different_masks(float* y) {
  y[threadIdx.x] = __shfl_up_sync(threadIdx.x < 4 ? 0xffu : 0xfu << 4 | 1u, 1.f, 1);  // @different masks
}

__global__ void vote_against_shuffle(float* y) {
  if (threadIdx.x > 0) {
    y[threadIdx.x] = __shfl_xor_sync(0xffffffffu, 1.f, 1);  // @shuffle
  } else {
    __ballot_sync(0xffffffffu, 1);  // @vote
  }
}

__global__ void split_warp(float* y) {
  if (threadIdx.x > 0) {
    y[threadIdx.x] = __shfl_xor_sync(0xffffffffu, 1.f, 1);  // @of the others
  } else {
    __syncthreads();
  }
}

__global__ void too_much_shared(float* y) {
  GALVAN_SHARED(float[12000], first);
  GALVAN_SHARED(float[300], second);  // @too much
  first[0] = second[0] = y[0];
}

__global__ void static_beside_dynamic(float* y) {
  GALVAN_SHARED(float[4], flag);  // @beside
  flag[0] = dynamic_shared<float>()[0] = y[0];
}

// Runs kernel<...> on 64 floats each way; gives what the simulator has to say, or "".
template <auto kKernel, class... Args>
std::string error_with_shared(size_t bytes, unsigned threads, Args... args) {
  sim::Block block;
  const sim::Launch launch{sim::kernel_name<kKernel>(), 1, threads, bytes};
  try {
    block.run(launch, {}, [&] { kKernel(args...); });
  } catch (const sim::KernelError& error) {
    return error.what();
  }
  return "";
}

template <auto kKernel, class... Args>
std::string error_of(unsigned threads, Args... args) {
  return error_with_shared<kKernel>(0, threads, args...);
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

TEST_CASE("reductions over the lanes of a mask") {
  int x[32], y[32][6];
  for (int i = 0; i < 32; ++i) x[i] = i * 37 % 29 - 9;
  CHECK(error_of<reduce_lanes>(32, x, &y[0][0]) == "");
  for (int lane = 0; lane < 32; ++lane) {
    const int begin = lane < 8 ? 0 : 8, end = lane < 8 ? 8 : 32;
    int sum = 0, least = x[begin], most = x[begin], all = -1, any = 0, odd = 0;
    for (int i = begin; i < end; ++i) {
      sum += x[i], all &= x[i], any |= x[i], odd ^= x[i];
      least = std::min(least, x[i]), most = std::max(most, x[i]);
    }
    for (int i = 0; i < 6; ++i)
      CHECK(y[lane][i] == std::array{sum, least, most, all, any, odd}[static_cast<size_t>(i)]);
  }
}

TEST_CASE("a barrier that not all threads reach") {
  CHECK(error_of<half_at_barrier>(8, static_cast<int*>(nullptr)) ==
        "half_at_barrier, block (0,0,0), thread (0,0,0) waits at the barrier of " + line("half") +
            ", but thread 3 has ended");
  CHECK(error_of<two_barriers>(8, static_cast<int*>(nullptr)) ==
        "two_barriers, block (0,0,0), thread (3,0,0) waits at the barrier of " + line("the other") +
            ", but thread 0 at that of " + line("one"));
  CHECK(error_of<barrier_in_a_loop>(64, static_cast<int*>(nullptr)) ==
        "barrier_in_a_loop, block (0,0,0), thread (32,0,0) waits at the barrier of " + line("loop") +
            ", but thread 0 has ended");
}

TEST_CASE("warp operations that name lanes which are not there") {
  float y[64];
  CHECK(error_of<shuffle_past_the_end>(40, y) ==
        "shuffle_past_the_end, block (0,0,0), thread (32,0,0) at " + line("past the end") +
            ": __shfl_xor_sync names lane 8, which the block does not have");
  CHECK(error_of<shuffle_without_oneself>(32, y) ==
        "shuffle_without_oneself, block (0,0,0), thread (0,0,0) at " + line("without oneself") +
            ": __shfl_xor_sync with a mask that leaves out the calling lane, 0");
  CHECK(error_of<shuffle_from_outside>(32, y) == "shuffle_from_outside, block (0,0,0), thread (7,0,0) at " +
                                                     line("from outside") +
                                                     ": __shfl_sync reads lane 8, which its mask leaves out");
  CHECK(error_of<shuffle_with_the_ended>(32, y) ==
        "shuffle_with_the_ended, block (0,0,0), thread (6,0,0) at " + line("with the ended") +
            ": __shfl_down_sync names lane 5, which has ended");
  CHECK(error_of<shuffle_by_different_masks>(8, y) ==
        "shuffle_by_different_masks, block (0,0,0), thread (4,0,0) at " + line("different masks") +
            ": __shfl_up_sync: lanes 4 and 0 give different masks");
}

TEST_CASE("a warp that is split") {
  float y[64];
  CHECK(error_of<split_warp>(32, y) == "split_warp, block (0,0,0), thread (1,0,0) at " +
                                           line("of the others") +
                                           ": __shfl_xor_sync waits for lanes that do not come to it");
  CHECK(error_of<vote_against_shuffle>(32, y) ==
        "vote_against_shuffle, block (0,0,0), thread (1,0,0) at " + line("shuffle") +
            ": __shfl_xor_sync waits for lane 0, which is in __ballot_sync at " + line("vote"));
}

TEST_CASE("more shared memory than a block has") {
  float y[64];
  CHECK(error_of<too_much_shared>(1, y) ==
        "too_much_shared, block (0,0,0), thread (0,0,0) at " + line("too much") +
            ": uses 49200 bytes of static and 0 of dynamic shared memory, of 49152 and 232448 in all");
  // Up to 48 KiB a launch has without asking for it: static and dynamic memory together.
  CHECK(error_with_shared<static_beside_dynamic>(49152 - 16, 1, y) == "");
  CHECK(error_with_shared<static_beside_dynamic>(49152, 1, y) ==
        "static_beside_dynamic, block (0,0,0), thread (0,0,0) at " + line("beside") +
            ": uses 16 bytes of static and 49152 of dynamic shared memory, of 49152 that a launch may have "
            "without "
            "asking for more");
  CHECK(error_with_shared<static_beside_dynamic>(49168, 1, y) == "");
}
