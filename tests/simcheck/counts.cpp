// The counts of a launch follow the model of cuda/sim/counts.h.
#include "cuda/sim/counts.h"

#include <doctest/doctest.h>

#include <string>

#include "cuda/pack.h"
#include "cuda/ptx.h"
#include "planted.h"

using namespace galvan;
using sim::Counts;

namespace {

template <int kStride, int kFirst>
__global__ void copy_strided(float* y) {
  const unsigned i = threadIdx.x;
  y[128 + i] = y[kFirst + kStride * i];
}
__global__ void copy_packs(float* y) {
  const unsigned i = 4 * threadIdx.x;
  const auto pack = pack_at<4>(y + i);
  pack_at<4>(y + 128 + i) = pack;
}
__global__ void copy_one_by_one(float* y) {
  for (unsigned i = 4 * threadIdx.x, end = i + 4; i < end; ++i) y[128 + i] = y[i];
}
__global__ void read_one(float* y) { y[1 + threadIdx.x] = y[0]; }
__global__ void add_atomically(float* y) { atomicAdd(reinterpret_cast<int*>(y), 1); }
// What the first half of the warp does at an instruction, the other does there too, though later.
__global__ void half_at_a_time(float* y) {
  for (int half = 0; half < 2; ++half) {
    if (static_cast<int>(threadIdx.x / 16) == half) y[threadIdx.x] = 1;
    __syncwarp();
  }
}
__global__ void write_then_read(float* y) {
  y[threadIdx.x] = 1;
  __syncthreads();  // all is there before it is read
  y[64 + threadIdx.x] = y[threadIdx.x ^ 1];
}
__global__ void copy_async(float* y) {
  float4* const tile = dynamic_shared<float4>();
  cp_async<16>(&tile[threadIdx.x], y + 4 * threadIdx.x, threadIdx.x < 16 ? 16 : 0);
  cp_async_commit();
  cp_async_wait<0>();
}

// Reads column 0 of rows of kWidth floats: what column `tx` of a tile is to the lanes that share it.
template <int kWidth>
__global__ void read_column(float* y) {
  GALVAN_SHARED(float[32 * kWidth], tile);
  for (int i = 0; i < kWidth; ++i) tile[32 * i + threadIdx.x] = 1;
  __syncthreads();  // all is there before it is read
  y[threadIdx.x] = tile[kWidth * threadIdx.x];
}
// Each lane a pack of 16 bytes, kWidth floats further than the one before.
template <int kWidth>
__global__ void read_packs(float* y) {
  float* const tile = dynamic_shared<float>();
  for (int i = 0; i < kWidth; ++i) tile[32 * i + threadIdx.x] = 1;
  __syncthreads();  // all is there before it is read
  const auto pack = pack_at<4>(tile + kWidth * threadIdx.x);
  y[threadIdx.x] = pack.at[0] + pack.at[1] + pack.at[2] + pack.at[3];
}
__global__ void read_halves(float* y) {
  GALVAN_SHARED(bfloat16[32], tile);
  tile[threadIdx.x] = bfloat16(1.f);
  y[threadIdx.x] = tile[threadIdx.x];
}

template <auto kKernel>
Counts counts_of(dim3 grid, dim3 block, size_t shared_bytes = 0) {
  sim::start_counting();
  const std::string error = sim::error_of_launch<kKernel>(grid, block, shared_bytes);
  const std::vector<Counts> counts = sim::take_counts();
  CHECK(error == "");
  REQUIRE(counts.size() == 1);
  return counts[0];
}

}  // namespace

TEST_CASE("global memory: bytes, requests and sectors") {
  // A read and a write of 128 bytes.
  const Counts dense = counts_of<copy_strided<1, 0>>(1, 32);
  CHECK(dense.kernel.starts_with("copy_strided<1, 0"));
  CHECK(dense.block.x == 32);
  CHECK(dense.bytes_read == 128);
  CHECK(dense.bytes_written == 128);
  CHECK(dense.requests == 2);
  CHECK(dense.sectors == 8);
  CHECK(dense.uncoalesced == 0);
  CHECK(dense.shared_requests == 0);
  // From the second float on: a fifth sector, which does not make it uncoalesced.
  CHECK(counts_of<copy_strided<1, 1>>(1, 32).sectors == 9);
  CHECK(counts_of<copy_strided<1, 1>>(1, 32).uncoalesced == 0);
  // Every fourth: a sector for two. Four warps, of which the last has 4 lanes.
  const Counts strided = counts_of<copy_strided<4, 0>>(1, 32);
  CHECK(strided.bytes_read == 128);
  CHECK(strided.sectors == 4 + 16);
  CHECK(strided.uncoalesced == 1);
  const Counts more = counts_of<copy_strided<1, 0>>(1, 100);
  CHECK(more.requests == 8);
  CHECK(more.sectors == 2 * 13);
}

TEST_CASE("global memory: a pack is one request, its elements one by one are four") {
  const Counts packs = counts_of<copy_packs>(1, 32);
  CHECK(packs.bytes_read == 512);
  CHECK(packs.requests == 2);
  CHECK(packs.sectors == 32);
  CHECK(packs.uncoalesced == 0);
  const Counts single = counts_of<copy_one_by_one>(1, 32);
  CHECK(single.bytes_read == 512);
  CHECK(single.requests == 8);
  CHECK(single.sectors == 8 * 16);
  CHECK(single.uncoalesced == 8);
}

TEST_CASE("global memory: what is distinct, and what a launch has written itself") {
  const Counts one = counts_of<read_one>(1, 64);
  CHECK(one.bytes_read == 8);  // two warps
  CHECK(one.distinct_bytes_read == 4);
  CHECK(one.distinct_bytes_written == 256);
  CHECK(one.sectors == 2 + 2 * 5);
  const Counts atomic = counts_of<add_atomically>(2, 32);
  CHECK(atomic.bytes_read == 8);
  CHECK(atomic.bytes_written == 8);
  CHECK(atomic.distinct_bytes_read == 4);
  CHECK(atomic.requests == 2);
  const Counts own = counts_of<write_then_read>(1, 64);
  CHECK(own.bytes_read == 256);
  CHECK(own.distinct_bytes_read == 0);
  CHECK(own.distinct_bytes_written == 512);
  CHECK(own.barriers == 2);
}

TEST_CASE("lanes that come to an instruction after the others have gone on make a request of their own") {
  const Counts counts = counts_of<half_at_a_time>(1, 32);
  CHECK(counts.requests == 2);
  CHECK(counts.sectors == 4);
  CHECK(counts.warp_barriers == 2);
  CHECK(counts.barriers == 0);
}

TEST_CASE("an asynchronous copy reads global memory and writes shared memory") {
  const Counts counts = counts_of<copy_async>(1, 32, 512);
  CHECK(counts.bytes_read == 256);
  CHECK(counts.requests == 1);
  CHECK(counts.sectors == 8);
  CHECK(counts.shared_requests == 1);
  CHECK(counts.shared_transactions == 4);
  CHECK(counts.bank_conflicts == 0);
}

TEST_CASE("shared memory: a column of a tile lies in one bank, and with a float between its rows in all") {
  const Counts column = counts_of<read_column<32>>(1, 32);
  CHECK(column.shared_requests == 33);
  CHECK(column.shared_transactions == 32 + 32);
  CHECK(column.bank_conflicts == 31);
  CHECK(counts_of<read_column<33>>(1, 32).bank_conflicts == 0);
  CHECK(counts_of<read_column<2>>(1, 32).bank_conflicts == 1);
  CHECK(counts_of<read_column<1>>(1, 32).bank_conflicts == 0);
}

TEST_CASE("shared memory: packs of 16 bytes are served to 8 lanes at a time, and halves of a word together") {
  const Counts dense = counts_of<read_packs<4>>(1, 32, 32 * 4 * 4);
  CHECK(dense.shared_requests == 5);
  CHECK(dense.shared_transactions == 4 + 4);
  CHECK(dense.bank_conflicts == 0);
  CHECK(counts_of<read_packs<8>>(1, 32, 32 * 8 * 4).bank_conflicts == 4);
  CHECK(counts_of<read_packs<32>>(1, 32, 32 * 32 * 4).bank_conflicts == 28);
  CHECK(counts_of<read_packs<36>>(1, 32, 32 * 36 * 4).bank_conflicts == 0);
  CHECK(counts_of<read_halves>(1, 32).bank_conflicts == 0);
}

TEST_CASE("nothing is counted that nobody asks for") {
  CHECK(sim::error_of_launch<read_one>(1, 32) == "");
  CHECK(sim::take_counts().empty());
}
