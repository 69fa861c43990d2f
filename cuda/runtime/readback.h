// A few numbers that a kernel hands to the host: it writes them to device(), read(stream) waits for it and
// returns them. They are as good as the next use.
#pragma once

#include <cstdint>

#include "cuda/runtime/check.h"

namespace galvan {

template <class T>
class Readback {
 public:
  explicit Readback(int64_t n) : bytes_(static_cast<size_t>(n) * sizeof(T)) {
    GALVAN_CUDA_CALL(cudaMalloc(reinterpret_cast<void**>(&device_), bytes_));
    GALVAN_CUDA_CALL(cudaMallocHost(reinterpret_cast<void**>(&host_), bytes_));
  }
  ~Readback() {
    cudaFree(device_);
    cudaFreeHost(host_);
  }
  Readback(const Readback&) = delete;
  Readback& operator=(const Readback&) = delete;

  T* device() const { return device_; }
  const T* read(cudaStream_t stream) const {
    GALVAN_CUDA_CALL(cudaMemcpyAsync(host_, device_, bytes_, cudaMemcpyDeviceToHost, stream));
    GALVAN_CUDA_CALL(cudaStreamSynchronize(stream));
    return host_;
  }

 private:
  size_t bytes_;
  T* device_ = nullptr;
  T* host_ = nullptr;
};

}  // namespace galvan
