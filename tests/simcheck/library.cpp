// A library's calls are watched like kernels: what cublasLt reads and writes is ordered against other streams, and must
// have been written. Likewise copies from and to the host's pinned memory, which it must leave alone meanwhile.
#include <doctest/doctest.h>

#include <cstring>
#include <string>

#include "core/kernels.h"
#include "cuda/runtime/pinned.h"
#include "planted.h"

using namespace galvan;
using sim::check_error, sim::error_so_far;

namespace {

__global__ void double_all(const float* x, float* y) { y[threadIdx.x] = 2 * x[threadIdx.x]; }  // @double_all

void doubled(const Stream& stream, const float* x, float* y) { launch<double_all>(1, 64, 0, stream, x, y); }

Gemm<float, float> square(const float* a, const float* b, float* c) {
  return {.m = 8, .n = 8, .k = 8, .a = a, .lda = 8, .b = b, .ldb = 8, .c = c, .ldc = 8};
}

// The memory of floats, taken for bfloat16, of which there is a product with GELU.
bfloat16* narrow(float* x) { return reinterpret_cast<bfloat16*>(x); }

// Puts the second on a stream of its own, first with nothing between, then behind an event.
template <class First, class Second>
void check_race(const First& first, const Second& second, const std::string& error) {
  for (const bool waits : {true, false}) {
    const Stream one, other;
    const Event done;
    first(one);
    done.record(one);
    if (waits) GALVAN_CUDA_CALL(cudaStreamWaitEvent(other, done, 0));
    second(other);
    check_error(error_so_far(), waits ? "" : error);
  }
}

std::string kernel_has(const std::string& done) {
  return "double_all, block (0,0,0), thread (0,0,0), has " + done + " at " + line("double_all") +
         ", and no stream, event or wait orders the two";
}

std::string kernel_at_line(const std::string& does) {
  return "double_all, block (0,0,0), thread (0,0,0) at " + line("double_all") + ": " + does +
         ", and no stream, event or wait orders the two";
}

}  // namespace

TEST_CASE("a product on one stream and a kernel on another") {
  const sim::Zeros a, b, c, x, y;
  const auto product = [&](const Stream& stream) { gemm(Cuda{stream}, square(a, b, c)); };
  check_race([&](const Stream& stream) { doubled(stream, x, a); }, product,
             "cublasLtMatmul: reads memory of the card that " + kernel_has("written"));
  check_race([&](const Stream& stream) { doubled(stream, c, x); }, product,
             "cublasLtMatmul: writes memory of the card that " + kernel_has("read"));
  check_race(
      product, [&](const Stream& stream) { doubled(stream, c, y); },
      kernel_at_line("reads 4 bytes of global memory that cublasLtMatmul has written"));
  check_race(
      product, [&](const Stream& stream) { doubled(stream, x, b); },
      kernel_at_line("writes 4 bytes of global memory that cublasLtMatmul has read"));
}

TEST_CASE("what a product reads and writes besides is watched, too") {
  const sim::Zeros a, b, c, bias, kept, sums, x, y;
  const auto product_with_gelu = [&](const Stream& stream) {
    const Gemm<bfloat16, bfloat16> product{.m = 8,
                                           .n = 8,
                                           .k = 8,
                                           .a = narrow(a),
                                           .lda = 8,
                                           .b = narrow(b),
                                           .ldb = 8,
                                           .c = narrow(c),
                                           .ldc = 8,
                                           .bias = narrow(bias)};
    gemm_gelu<bfloat16>(Cuda{stream}, product, narrow(kept));
  };
  check_race([&](const Stream& stream) { doubled(stream, x, bias); }, product_with_gelu,
             "cublasLtMatmul: reads memory of the card that " + kernel_has("written"));
  check_race(
      product_with_gelu, [&](const Stream& stream) { doubled(stream, kept, y); },
      kernel_at_line("reads 4 bytes of global memory that cublasLtMatmul has written"));
  check_race([&](const Stream& stream) { doubled(stream, sums, y); },
             [&](const Stream& stream) {
               Gemm<float, float> product = square(a, b, c);
               product.transpose_a = true;
               gemm_column_sums<float>(Cuda{stream}, product, sums);
             },
             "cublasLtMatmul: writes memory of the card that " + kernel_has("read"));
}

TEST_CASE("a product of what nothing has written") {
  const sim::Zeros b, c;
  float* fresh = nullptr;
  GALVAN_CUDA_CALL(cudaMalloc(reinterpret_cast<void**>(&fresh), 256));
  {
    const Stream stream;
    gemm(Cuda{stream}, square(fresh, b, c));
    check_error(
        error_so_far(),
        "cublasLtMatmul: reads 32 bytes of global memory at 0x..., of which nothing has written byte 0");
  }
  cudaFree(fresh);
}

TEST_CASE("a stream does not wait for a copy of little memory that is not pinned") {
  const sim::Zeros x, y;
  const float host[64] = {};
  const Stream stream;
  for (const bool waits : {true, false}) {
    GALVAN_CUDA_CALL(cudaMemcpy(x, host, sizeof host, cudaMemcpyHostToDevice));
    if (waits) GALVAN_CUDA_CALL(cudaDeviceSynchronize());
    doubled(stream, x, y);
    stream.synchronize();
    GALVAN_CUDA_CALL(cudaDeviceSynchronize());
    check_error(error_so_far(),
                waits ? "" : "cudaMemcpy: writes memory of the card that " + kernel_has("read"));
  }
}

TEST_CASE("the host writes pinned memory that is being copied to the card") {
  const sim::Zeros x;
  const Pinned<float> host(64);
  const Stream stream;
  const auto copy = [&] {
    GALVAN_CUDA_CALL(cudaMemcpyAsync(x, host.data(), 64 * sizeof(float), cudaMemcpyHostToDevice, stream));
  };
  std::memset(host.data(), 0, 64 * sizeof(float));
  copy();
  stream.synchronize();
  host.data()[5] = 1;  // after it
  copy();
  check_error(error_so_far(), "");
  copy();
  host.data()[6] = 1;  // before it: 0x3f800000
  check_error(
      error_so_far(),
      "cudaMemcpy: byte 26 of the pinned memory that it reads has been written since the copy was asked for");
}

TEST_CASE("copies that follow one another through one piece of pinned memory are no mistake") {
  const sim::Zeros x, y;
  const Pinned<float> host(64);
  const Stream stream;
  std::memset(host.data(), 0, 64 * sizeof(float));
  const auto from_host = [&](float* to) {
    GALVAN_CUDA_CALL(cudaMemcpyAsync(to, host.data(), 64 * sizeof(float), cudaMemcpyHostToDevice, stream));
  };
  const auto to_host = [&](const float* from) {
    GALVAN_CUDA_CALL(cudaMemcpyAsync(host.data(), from, 64 * sizeof(float), cudaMemcpyDeviceToHost, stream));
  };
  to_host(x);
  from_host(y);
  to_host(y);
  stream.synchronize();
  CHECK(host.data()[63] == 0);
  check_error(error_so_far(), "");
}

TEST_CASE("what the host reads of a copy too early is not what it copies") {
  const sim::Zeros x;
  const Pinned<float> host(64);
  const Stream stream;
  host.data()[3] = 0;  // what is to come, and was there before
  GALVAN_CUDA_CALL(cudaMemcpyAsync(host.data(), x, 64 * sizeof(float), cudaMemcpyDeviceToHost, stream));
  CHECK(host.data()[3] != host.data()[3]);
  stream.synchronize();
  CHECK(host.data()[3] == 0);
}
