// Kernels with a mistake in them, and what the checking build says of each.
#pragma once

#include <doctest/doctest.h>

#include <string>

#include "../sim/marked.h"
#include "cuda/dialect.h"
#include "cuda/runtime/check.h"
#include "cuda/runtime/stream.h"

namespace galvan::sim {

// The card's array of 256 floats, all 0.
class Zeros {
 public:
  Zeros() {
    GALVAN_CUDA_CALL(cudaMalloc(reinterpret_cast<void**>(&data_), 256 * sizeof(float)));
    GALVAN_CUDA_CALL(cudaMemset(data_, 0, 256 * sizeof(float)));
  }
  ~Zeros() { cudaFree(data_); }
  Zeros(const Zeros&) = delete;
  Zeros& operator=(const Zeros&) = delete;

  operator float*() const { return data_; }

 private:
  float* data_;
};

inline void check_error(const std::string& error, const std::string& expected) { CHECK(error == expected); }

// What went wrong since the last call, or "".
inline std::string error_so_far() {
  cudaDeviceSynchronize();
  return without_addresses(take_error());
}

// Launches the kernel on such an array; gives what went wrong, or "".
template <auto kKernel>
std::string error_of_launch(dim3 grid, dim3 block, size_t shared_bytes = 0) {
  const Zeros y;
  const Stream stream;
  launch<kKernel>(grid, block, shared_bytes, stream, static_cast<float*>(y));
  return error_so_far();
}

}  // namespace galvan::sim
