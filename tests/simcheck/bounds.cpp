// Planted accesses outside of what a kernel may touch, and reads of what nobody has written.
#include <doctest/doctest.h>

#include <string>

#include "cuda/ptx.h"
#include "planted.h"

using namespace galvan;
using sim::error_of_launch;

float of_the_host = 1;

namespace {

__global__ void one_past_the_end(float* y) { y[threadIdx.x + 256] = 1; }
__global__ void misaligned_vector(float* y) {
  *reinterpret_cast<float4*>(y + 1 + 4 * threadIdx.x) = float4{1, 2, 3, 4};
}
__global__ void read_of_the_host(float* y) { y[threadIdx.x] = of_the_host; }

__global__ void one_past_a_tile(float* y) {
  GALVAN_SHARED(float[32], tile);
  GALVAN_SHARED(float[32], other);
  other[threadIdx.x] = 1;
  float* const end = tile + 32;
  end[threadIdx.x] = 2;
  y[threadIdx.x] = other[threadIdx.x];
}
__global__ void one_past_dynamic_memory(float* y) {
  float* const tile = dynamic_shared<float>();
  tile[threadIdx.x] = y[threadIdx.x];
}

__global__ void unwritten_tile(float* y) {
  GALVAN_SHARED(float[33], tile);
  tile[threadIdx.x] = 1;
  __syncthreads();  // all is there before it is read
  y[threadIdx.x] = tile[threadIdx.x + 1];
}

__global__ void another_threads_variable(float* y) {
  GALVAN_SHARED(float*, of_thread_0);
  float own = y[threadIdx.x];
  if (threadIdx.x == 0) of_thread_0 = &own;
  __syncthreads();  // the address is there before it is read
  y[threadIdx.x] = *of_thread_0;
  __syncthreads();  // the variable lives until all have read it
}

// y[0 to 3] by an asynchronous copy that is waited for too late, or not by all.
template <bool kWait, bool kBarrier>
__global__ void async_copy(float* y) {
  GALVAN_SHARED(float4, tile);
  if (threadIdx.x == 0) cp_async<16>(&tile, y);
  cp_async_commit();
  if (kWait) cp_async_wait<0>();
  if (kBarrier) __syncthreads();  // what thread 0 has waited for is there for all
  y[4 + threadIdx.x] = tile.x;
}

__global__ void copy(const float* x, float* y) { y[threadIdx.x] = x[threadIdx.x]; }

void check_parts(const std::string& error, const std::string& begin, const std::string& end) {
  CAPTURE(error);
  CHECK(error.starts_with(begin));
  CHECK(error.find(end) != error.npos);
}

}  // namespace

TEST_CASE("global memory past the end of a block, and misaligned") {
  check_parts(error_of_launch<one_past_the_end>(1, 3),
              "one_past_the_end, block (0,0,0), thread (0,0,0) at tests/simcheck/bounds.cpp:",
              "which lies 0 bytes past the end of a block of 1024");
  check_parts(error_of_launch<misaligned_vector>(1, 1),
              "misaligned_vector, block (0,0,0), thread (0,0,0) at ", "which is not a multiple of 16");
  check_parts(error_of_launch<read_of_the_host>(1, 1), "read_of_the_host, block (0,0,0), thread (0,0,0) at ",
              "which is the host's memory");
}

TEST_CASE("freed memory") {
  float* gone;
  {
    const sim::Zeros x;
    gone = x;
  }
  const sim::Zeros y;
  const Stream stream;
  launch<copy>(1, 8, 0, stream, static_cast<const float*>(gone), static_cast<float*>(y));
  cudaStreamSynchronize(stream);
  check_parts(sim::take_error(), "copy, block (0,0,0), thread (0,0,0) at ",
              "which lies in a block of 1024 that has been freed");
}

TEST_CASE("memory of the card that nothing has written") {
  float* x;
  GALVAN_CUDA_CALL(cudaMalloc(reinterpret_cast<void**>(&x), 32));
  const sim::Zeros y;
  const Stream stream;
  launch<copy>(1, 8, 0, stream, static_cast<const float*>(x), static_cast<float*>(y));
  cudaStreamSynchronize(stream);
  check_parts(sim::take_error(), "copy, block (0,0,0), thread (0,0,0) at ",
              "reads 4 bytes of global memory that nothing has written");
  cudaFree(x);
}

TEST_CASE("shared memory past a variable, and that nothing has written") {
  check_parts(error_of_launch<one_past_a_tile>(1, 32), "one_past_a_tile, block (0,0,0), thread (0,0,0) at ",
              "which is outside of the block's variables");
  CHECK(error_of_launch<one_past_dynamic_memory>(1, 8, 32) == "");
  check_parts(error_of_launch<one_past_dynamic_memory>(1, 9, 32),
              "one_past_dynamic_memory, block (0,0,0), thread (8,0,0) at ",
              "which is outside of the block's variables");
  check_parts(error_of_launch<unwritten_tile>(1, 32), "unwritten_tile, block (0,0,0), thread (31,0,0) at ",
              "reads 4 bytes of shared memory that nothing has written");
}

TEST_CASE("another thread's variable") {
  check_parts(error_of_launch<another_threads_variable>(1, 2),
              "another_threads_variable, block (0,0,0), thread (1,0,0) at ",
              "which is another thread's variable");
}

TEST_CASE("an asynchronous copy is waited for, and by a barrier too") {
  const std::string in_flight =
      "that an asynchronous copy is about to write: asked for at tests/simcheck/bounds.cpp:";
  check_parts(error_of_launch<async_copy<false, true>>(1, 2),
              "async_copy<false, true>, block (0,0,0), thread (0,0,0) at ", in_flight);
  check_parts(error_of_launch<async_copy<true, false>>(1, 2),
              "async_copy<true, false>, block (0,0,0), thread (1,0,0) at ", "and no barrier orders the two");
  CHECK(error_of_launch<async_copy<true, true>>(1, 2) == "");
}
