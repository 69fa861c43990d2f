// Planted races: each is seen, and the message says who, where and what is missing. Beside each stands the kernel
// without the mistake.
#include <doctest/doctest.h>

#include <string>

#include "cuda/ptx.h"
#include "planted.h"

using namespace galvan;
using sim::check_error, sim::error_of_launch, sim::error_so_far;

namespace {

enum Order { nothing, warp, block };

// y[i] = n - 1 - i by way of shared memory.
template <Order kOrder>
__global__ void reverse(float* y) {
  GALVAN_SHARED(float[64], tile);
  const unsigned i = threadIdx.x, n = blockDim.x;
  tile[i] = 0;
  __syncthreads();                  // all is zero before some of it is written
  tile[i] = static_cast<float>(i);  // @reverse writes
  if (kOrder == warp) __syncwarp();
  if (kOrder == block) __syncthreads();  // all is there before it is read
  y[i] = tile[n - 1 - i];                // @reverse reads
}

// y[0] += 1 by every thread, in turn as it seems.
__global__ void count_without_atomics(float* y) { y[0] += 1; }  // @count
__global__ void count(float* y) { atomicAdd(reinterpret_cast<int*>(y), 1); }
__global__ void count_and_read(float* y) {
  atomicAdd(reinterpret_cast<int*>(y), 1);  // @atomic
  if (threadIdx.x == 0) y[1] = y[0];        // @read beside atomics
}

// The next loop's writes overtake this one's reads.
template <bool kOrdered>
__global__ void reuse(float* y) {
  GALVAN_SHARED(float, total);
  for (int step = 0; step < 2; ++step) {
    if (threadIdx.x == 0) total = static_cast<float>(step);  // @total written
    __syncthreads();                                         // the total is there before it is read
    y[threadIdx.x] += total;                                 // @total read
    if (kOrdered) __syncthreads();                           // it is read before it is overwritten
  }
}

// A shuffle brings every lane here, but does not make their writes visible.
__global__ void shuffle_as_barrier(float* y) {
  GALVAN_SHARED(float[32], tile);
  const unsigned lane = threadIdx.x;
  tile[lane] = 0;
  __syncwarp();
  tile[lane] = 1;  // @before the shuffle
  const float one = __shfl_xor_sync(0xffffffffu, 1.f, 1);
  y[lane] = one + tile[lane ^ 1];  // @after the shuffle
}

// A __syncwarp of half the lanes does not order the others.
__global__ void half_warp_barrier(float* y) {
  GALVAN_SHARED(float[32], tile);
  const unsigned lane = threadIdx.x;
  tile[lane] = 0;
  __syncwarp();
  tile[lane] = 1;  // @before half a barrier
  if (lane < 16) __syncwarp(0xffffu);
  y[lane] = tile[31 - lane];  // @after half a barrier
}

// Two parts of one word.
__global__ void halves(float* y) { reinterpret_cast<uint16_t*>(y)[threadIdx.x] = 1; }
__global__ void halves_and_wholes(float* y) {
  if (threadIdx.x % 2 == 0) {
    reinterpret_cast<uint16_t*>(y)[threadIdx.x + 1] = 1;  // @half
  } else {
    reinterpret_cast<int*>(y)[threadIdx.x / 2] = 1;  // @whole
  }
}

// The order in which threads come decides: no race, as all is atomic, and yet not the same bits.
__global__ void who_is_first(float* y) {
  int* const next = reinterpret_cast<int*>(y);
  next[1 + threadIdx.x] = atomicAdd(next, 1);  // @first
}

// Every block leaves a number, and the last one adds them up: y[0] counts tickets, y[64] gets the sum.
enum Ticket { drawn, drawn_early, atomic };

template <Ticket kTicket>
__global__ void sum_of_blocks(float* y) {
  GALVAN_SHARED(bool, last);
  unsigned* const counter = reinterpret_cast<unsigned*>(y);
  if (kTicket != drawn_early && threadIdx.x == 1) y[1 + blockIdx.x] = 1;  // @left to the last block
  __syncthreads();  // the block's number is there before a ticket is drawn
  if (threadIdx.x == 0)
    last =
        (kTicket == atomic ? atomicAdd(counter, 1u) : draw_ticket(counter, gridDim.x - 1)) == gridDim.x - 1;
  if (kTicket == drawn_early && threadIdx.x == 1) y[1 + blockIdx.x] = 1;  // @left too late
  __syncthreads();                                                        // drawn before all read
  if (!last || threadIdx.x > 0) return;
  for (unsigned b = 0; b < gridDim.x; ++b) y[64] += y[1 + b];  // @added up
}

__global__ void add_one(float* y) { y[threadIdx.x] += 1; }  // @add_one
__global__ void sum_of_neighbours(const float* x, float* y) {
  y[threadIdx.x] = x[threadIdx.x] + x[threadIdx.x ^ 1];  // @neighbours
}

}  // namespace

TEST_CASE("shared memory that another thread writes and reads, with no barrier between") {
  check_error(error_of_launch<reverse<nothing>>(1, 64),
              "reverse<nothing>, block (0,0,0), thread (32,0,0) at " + line("reverse writes") +
                  ": writes 4 bytes of shared memory that block (0,0,0), thread (31,0,0) has read at " +
                  line("reverse reads") + ", and no barrier orders the two");
  check_error(error_of_launch<reverse<block>>(1, 64), "");
}

TEST_CASE("a __syncwarp orders the lanes of one warp, and only if all of them are there") {
  check_error(error_of_launch<reverse<warp>>(1, 32), "");
  check_error(error_of_launch<reverse<warp>>(1, 64),
              "reverse<warp>, block (0,0,0), thread (32,0,0) at " + line("reverse writes") +
                  ": writes 4 bytes of shared memory that block (0,0,0), thread (31,0,0) has read at " +
                  line("reverse reads") + ", and no barrier orders the two");
  check_error(error_of_launch<half_warp_barrier>(1, 32),
              "half_warp_barrier, block (0,0,0), thread (0,0,0) at " + line("before half a barrier") +
                  ": writes 4 bytes of shared memory that block (0,0,0), thread (31,0,0) has read at " +
                  line("after half a barrier") + ", and no barrier orders the two");
}

TEST_CASE("a loop's next write overtakes a read") {
  check_error(error_of_launch<reuse<false>>(1, 40),
              "reuse<false>, block (0,0,0), thread (1,0,0) at " + line("total read") +
                  ": reads 4 bytes of shared memory that block (0,0,0), thread (0,0,0) has written at " +
                  line("total written") + ", and no barrier orders the two");
  check_error(error_of_launch<reuse<true>>(1, 40), "");
}

TEST_CASE("a ticket orders what blocks did before they drew theirs, an atomic operation does not") {
  const auto race = [](const std::string& kernel, const std::string& written) {
    return kernel + ", block (2,0,0), thread (0,0,0) at " + line("added up") +
           ": reads 4 bytes of global memory that block (0,0,0), thread (1,0,0) has written at " +
           line(written) + ", and nothing orders the two";
  };
  check_error(error_of_launch<sum_of_blocks<drawn>>(3, 32), "");
  check_error(error_of_launch<sum_of_blocks<drawn_early>>(3, 32),
              race("sum_of_blocks<drawn_early>", "left too late"));
  check_error(error_of_launch<sum_of_blocks<atomic>>(3, 32),
              race("sum_of_blocks<atomic>", "left to the last block"));
}

TEST_CASE("a shuffle orders no accesses") {
  const std::string error = error_of_launch<shuffle_as_barrier>(1, 32);
  CAPTURE(error);
  CHECK(error.starts_with("shuffle_as_barrier, block (0,0,0), thread ("));
  CHECK(error.find(" at " + line("after the shuffle") +
                   ": reads 4 bytes of shared memory that block (0,0,0), thread (") != error.npos);
  CHECK(error.ends_with(" has written at " + line("before the shuffle") + ", and no barrier orders the two"));
}

TEST_CASE("threads and blocks that add to one number") {
  // Whether a compiler reports the read of += by itself is its own affair.
  const auto with_verb = [](std::string error) {
    for (const std::string verb : {"reads", "writes"})
      if (const size_t at = error.find(": " + verb + " 4"); at != error.npos)
        error.replace(at + 2, verb.size(), "touches");
    for (const std::string verb : {"has read", "has written"})
      if (const size_t at = error.find(verb + " at"); at != error.npos)
        error.replace(at, verb.size(), "has touched");
    return error;
  };
  check_error(with_verb(error_of_launch<count_without_atomics>(1, 2)),
              "count_without_atomics, block (0,0,0), thread (1,0,0) at " + line("count") +
                  ": touches 4 bytes of global memory that block (0,0,0), thread (0,0,0) has touched at " +
                  line("count") + ", and no barrier orders the two");
  check_error(with_verb(error_of_launch<count_without_atomics>(2, 1)),
              "count_without_atomics, block (1,0,0), thread (0,0,0) at " + line("count") +
                  ": touches 4 bytes of global memory that block (0,0,0), thread (0,0,0) has touched at " +
                  line("count") + ", and nothing orders the two");
  check_error(error_of_launch<count>(3, 70), "");
  check_error(error_of_launch<count_and_read>(1, 2),
              "count_and_read, block (0,0,0), thread (1,0,0) at " + line("atomic") +
                  ": updates 4 bytes of global memory that block (0,0,0), thread (0,0,0) has read at " +
                  line("read beside atomics") + ", and no barrier orders the two");
}

TEST_CASE("threads that write parts of one word") {
  check_error(error_of_launch<halves>(1, 33), "");
  check_error(error_of_launch<halves_and_wholes>(1, 8),
              "halves_and_wholes, block (0,0,0), thread (1,0,0) at " + line("whole") +
                  ": writes 4 bytes of global memory that block (0,0,0), thread (0,0,0) has written at " +
                  line("half") + ", and no barrier orders the two");
}

TEST_CASE("results that depend on who comes first") {
  check_error(
      error_of_launch<who_is_first>(1, 8),
      "who_is_first: leaves other bits when its threads take turns in reverse than forward, at 0x..., "
      "written "
      "by block (0,0,0), thread (0,0,0) at " +
          line("first"));
}

TEST_CASE("launches on two streams are ordered by an event or by the host's waiting") {
  const sim::Zeros x, y;
  const Stream first, second;
  const Event added, done;
  launch<add_one>(1, 8, 0, first, static_cast<float*>(x));
  added.record(first);
  launch<sum_of_neighbours>(1, 8, 0, first, static_cast<const float*>(x), static_cast<float*>(y));
  done.record(first);
  SUBCASE("by nothing: what the one has written the other reads") {
    launch<sum_of_neighbours>(1, 8, 0, second, static_cast<const float*>(y), static_cast<float*>(x));
    check_error(
        error_so_far(),
        "sum_of_neighbours, block (0,0,0), thread (0,0,0) at " + line("neighbours") +
            ": reads 4 bytes of global memory that sum_of_neighbours, block (0,0,0), thread (0,0,0), has "
            "written at " +
            line("neighbours") + ", and no stream, event or wait orders the two");
  }
  SUBCASE("by an event that was recorded too early") {
    launch<add_one>(1, 8, 0, first, static_cast<float*>(x));
    cudaStreamWaitEvent(second, done, 0);
    launch<sum_of_neighbours>(1, 8, 0, second, static_cast<const float*>(x), static_cast<float*>(y));
    check_error(
        error_so_far(),
        "sum_of_neighbours, block (0,0,0), thread (0,0,0) at " + line("neighbours") +
            ": reads 4 bytes of global memory that add_one, block (0,0,0), thread (0,0,0), has written at " +
            line("add_one") + ", and no stream, event or wait orders the two");
  }
  SUBCASE("by nothing: what the one reads the other writes, as a copy") {
    float host[8] = {};
    cudaStreamWaitEvent(second, added, 0);
    cudaMemcpyAsync(x, host, sizeof host, cudaMemcpyHostToDevice, second);
    check_error(
        error_so_far(),
        "cudaMemcpy: writes memory of the card that sum_of_neighbours, block (0,0,0), thread (0,0,0), has "
        "read at " +
            line("neighbours") + ", and no stream, event or wait orders the two");
  }
  SUBCASE("by nothing: a copy to the host at once") {
    float host[8];
    cudaMemcpy(host, y, sizeof host, cudaMemcpyDeviceToHost);
    check_error(
        error_so_far(),
        "cudaMemcpy: reads memory of the card that sum_of_neighbours, block (0,0,0), thread (0,0,0), has "
        "written at " +
            line("neighbours") + ", and no stream, event or wait orders the two");
  }
  SUBCASE("by nothing: a fill") {
    cudaMemsetAsync(y, 0, 4, second);
    check_error(
        error_so_far(),
        "cudaMemset: writes memory of the card that sum_of_neighbours, block (0,0,0), thread (0,0,0), has "
        "written at " +
            line("neighbours") + ", and no stream, event or wait orders the two");
  }
  SUBCASE("by an event") {
    cudaStreamWaitEvent(second, done, 0);
    launch<add_one>(1, 8, 0, second, static_cast<float*>(x));
    check_error(error_so_far(), "");
  }
  SUBCASE("by the host") {
    done.synchronize();
    launch<add_one>(1, 8, 0, second, static_cast<float*>(x));
    check_error(error_so_far(), "");
  }
}
