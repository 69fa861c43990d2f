// A few numbers that a kernel hands to the host: it writes them to device(), read(stream, n) waits for it and
// returns the first n. They hold until the next read.
#pragma once

#include <cstddef>

#include "cuda/runtime/check.h"

namespace galvan {

template <class T>
class Readback {
 public:
  explicit Readback(size_t capacity) {
    GALVAN_CUDA_CALL(cudaMalloc(reinterpret_cast<void**>(&device_), capacity * sizeof(T)));
    GALVAN_CUDA_CALL(cudaMallocHost(reinterpret_cast<void**>(&host_), capacity * sizeof(T)));
  }
  ~Readback() {
    cudaFree(device_);
    cudaFreeHost(host_);
  }
  Readback(const Readback&) = delete;
  Readback& operator=(const Readback&) = delete;

  T* device() const { return device_; }
  const T* read(cudaStream_t stream, size_t n) const {
    GALVAN_CUDA_CALL(cudaMemcpyAsync(host_, device_, n * sizeof(T), cudaMemcpyDeviceToHost, stream));
    GALVAN_CUDA_CALL(cudaStreamSynchronize(stream));
    return host_;
  }

 private:
  T* device_ = nullptr;
  T* host_ = nullptr;
};

}  // namespace galvan
