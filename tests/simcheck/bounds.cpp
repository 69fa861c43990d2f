// Planted accesses outside of what a kernel may touch, and reads of what nobody has written.
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "cuda/ptx.h"
#include "planted.h"

using namespace galvan;
using sim::check_error, sim::error_of_launch, sim::error_so_far;

float of_the_host = 1;

namespace {

__global__ void one_past_the_end(float* y) { y[threadIdx.x + 256] = 1; }  // @past
__global__ void misaligned_vector(float* y) {
  *reinterpret_cast<float4*>(y + 1 + 4 * threadIdx.x) = float4{1, 2, 3, 4};  // @misaligned
}
__global__ void read_of_the_host(float* y) { y[threadIdx.x] = of_the_host; }  // @host

__global__ void one_past_a_tile(float* y) {
  GALVAN_SHARED(float[32], tile);
  GALVAN_SHARED(float[32], other);
  other[threadIdx.x] = 1;
  float* const end = tile + 32;
  end[threadIdx.x] = 2;  // @past a tile
  y[threadIdx.x] = other[threadIdx.x];
}
__global__ void one_past_dynamic_memory(float* y) {
  float* const tile = dynamic_shared<float>();
  tile[threadIdx.x] = y[threadIdx.x];  // @past dynamic
}

__global__ void unwritten_tile(float* y) {
  GALVAN_SHARED(float[33], tile);
  tile[threadIdx.x] = 1;
  __syncthreads();                         // all is there before it is read
  y[threadIdx.x] = tile[threadIdx.x + 1];  // @unwritten
}

__global__ void another_threads_variable(float* y) {
  GALVAN_SHARED(float*, of_thread_0);
  float own = y[threadIdx.x];
  if (threadIdx.x == 0) of_thread_0 = &own;
  __syncthreads();                // the address is there before it is read
  y[threadIdx.x] = *of_thread_0;  // @another's
  __syncthreads();                // the variable lives until all have read it
}

// y[0 to 3] by an asynchronous copy that is waited for too late, or not by all.
template <bool kWait, bool kBarrier>
__global__ void async_copy(float* y) {
  GALVAN_SHARED(float4, tile);
  if (threadIdx.x == 0) cp_async<16>(&tile, y);  // @asked for
  cp_async_commit();
  if (kWait) cp_async_wait<0>();
  if (kBarrier) __syncthreads();  // what thread 0 has waited for is there for all
  y[4 + threadIdx.x] = tile.x;    // @tile read
}

// The tile's next rows are asked for while a thread still reads these.
template <bool kBarrier>
__global__ void async_copy_too_early(float* y) {
  GALVAN_SHARED(float4, tile);
  if (threadIdx.x == 0) cp_async<16>(&tile, y);
  cp_async_commit();
  cp_async_wait<0>();
  __syncthreads();                               // the tile is there for all
  y[8 + threadIdx.x] = tile.y;                   // @tile still read
  if (kBarrier) __syncthreads();                 // all have read it before the next comes
  if (threadIdx.x == 1) cp_async<16>(&tile, y);  // @asked for too early
  cp_async_commit();
  cp_async_wait<0>();
}

// Waits for the group before the one that it reads.
__global__ void async_wait_for_another(float* y) {
  GALVAN_SHARED(float4[2], tiles);
  for (int i = 0; i < 2; ++i) {
    cp_async<16>(&tiles[i], y);  // @two asked for
    cp_async_commit();
  }
  cp_async_wait<1>();
  y[4] = tiles[0].x;
  y[5] = tiles[1].x;  // @the second read
}

__global__ void copy(const float* x, float* y) { y[threadIdx.x] = x[threadIdx.x]; }  // @copy

}  // namespace

TEST_CASE("global memory past the end of a block, misaligned, and the host's") {
  check_error(
      error_of_launch<one_past_the_end>(1, 3),
      "one_past_the_end, block (0,0,0), thread (0,0,0) at " + line("past") +
          ": writes 4 bytes of global memory at 0x..., which lies 0 bytes past the end of a block of 1024");
  check_error(error_of_launch<misaligned_vector>(1, 1),
              "misaligned_vector, block (0,0,0), thread (0,0,0) at " + line("misaligned") +
                  ": an access at 0x..., which is not a multiple of 16");
  check_error(error_of_launch<read_of_the_host>(1, 1),
              "read_of_the_host, block (0,0,0), thread (0,0,0) at " + line("host") +
                  ": reads 4 bytes at 0x..., which is the host's memory");
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
  check_error(
      error_so_far(),
      "copy, block (0,0,0), thread (0,0,0) at " + line("copy") +
          ": reads 4 bytes of global memory at 0x..., which lies in a block of 1024 that has been freed");
  float host;
  cudaMemcpyAsync(&host, gone, sizeof host, cudaMemcpyDeviceToHost, stream);
  check_error(error_so_far(),
              "cudaMemcpy from the card of 4 bytes: lies in a block of 1024 that has been freed");
}

TEST_CASE("copies and fills past the end of a block") {
  const sim::Zeros x;
  const Stream stream;
  std::vector<float> host(300);
  cudaMemcpyAsync(x, host.data(), 1200, cudaMemcpyHostToDevice, stream);
  check_error(error_so_far(),
              "cudaMemcpy to the card of 1200 bytes: reaches 176 bytes past the end of a block of 1024");
  cudaMemsetAsync(x + 255, 0, 5, stream);
  check_error(error_so_far(), "cudaMemset of 5 bytes: reaches 1 bytes past the end of a block of 1024");
}

TEST_CASE("memory of the card that nothing has written") {
  float* x;
  GALVAN_CUDA_CALL(cudaMalloc(reinterpret_cast<void**>(&x), 32));
  const sim::Zeros y;
  const Stream stream;
  cudaMemsetAsync(x, 0, 28, stream);
  launch<copy>(1, 8, 0, stream, static_cast<const float*>(x), static_cast<float*>(y));
  check_error(error_so_far(), "copy, block (0,0,0), thread (7,0,0) at " + line("copy") +
                                  ": reads 4 bytes of global memory that nothing has written");
  cudaFree(x);
}

TEST_CASE("shared memory past a variable, and that nothing has written") {
  check_error(error_of_launch<one_past_a_tile>(1, 32),
              "one_past_a_tile, block (0,0,0), thread (0,0,0) at " + line("past a tile") +
                  ": writes 4 bytes of shared memory at 0x..., which is outside of the block's variables");
  check_error(error_of_launch<one_past_dynamic_memory>(1, 8, 32), "");
  check_error(error_of_launch<one_past_dynamic_memory>(1, 9, 32),
              "one_past_dynamic_memory, block (0,0,0), thread (8,0,0) at " + line("past dynamic") +
                  ": writes 4 bytes of shared memory at 0x..., which is outside of the block's variables");
  check_error(error_of_launch<unwritten_tile>(1, 32),
              "unwritten_tile, block (0,0,0), thread (31,0,0) at " + line("unwritten") +
                  ": reads 4 bytes of shared memory that nothing has written");
}

TEST_CASE("another thread's variable") {
  check_error(error_of_launch<another_threads_variable>(1, 2),
              "another_threads_variable, block (0,0,0), thread (1,0,0) at " + line("another's") +
                  ": reads 4 bytes at 0x..., which is another thread's variable");
}

TEST_CASE("an asynchronous copy is waited for, and by a barrier too, before it is read and before the next") {
  check_error(
      error_of_launch<async_copy<false, true>>(1, 2),
      "async_copy<false, true>, block (0,0,0), thread (0,0,0) at " + line("tile read") +
          ": reads 4 bytes of shared memory that an asynchronous copy is about to write: asked for at " +
          line("asked for") + ", not yet waited for");
  check_error(error_of_launch<async_copy<true, false>>(1, 2),
              "async_copy<true, false>, block (0,0,0), thread (1,0,0) at " + line("tile read") +
                  ": reads 4 bytes of shared memory that block (0,0,0), thread (0,0,0) has written at " +
                  line("asked for") + ", and no barrier orders the two");
  check_error(error_of_launch<async_copy<true, true>>(1, 2), "");
  check_error(
      error_of_launch<async_wait_for_another>(1, 1),
      "async_wait_for_another, block (0,0,0), thread (0,0,0) at " + line("the second read") +
          ": reads 4 bytes of shared memory that an asynchronous copy is about to write: asked for at " +
          line("two asked for") + ", not yet waited for");
  check_error(error_of_launch<async_copy_too_early<false>>(1, 2),
              "async_copy_too_early<false>, block (0,0,0), thread (1,0,0) at " + line("asked for too early") +
                  ": writes 16 bytes of shared memory that block (0,0,0), thread (0,0,0) has read at " +
                  line("tile still read") + ", and no barrier orders the two");
  check_error(error_of_launch<async_copy_too_early<true>>(1, 2), "");
}
