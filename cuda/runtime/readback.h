// A few numbers that a kernel hands to the host: it writes them to device(), read(stream, n) waits for it and
// returns the first n. They hold until the next read.
#pragma once

#include <cstddef>

#include "cuda/runtime/pinned.h"

namespace galvan {

template <class T>
class Readback {
 public:
  explicit Readback(size_t capacity) : host_(capacity) {
    GALVAN_CUDA_CALL(cudaMalloc(reinterpret_cast<void**>(&device_), capacity * sizeof(T)));
  }
  ~Readback() { cudaFree(device_); }
  Readback(const Readback&) = delete;
  Readback& operator=(const Readback&) = delete;

  T* device() const { return device_; }
  const T* read(cudaStream_t stream, size_t n) const {
    GALVAN_CUDA_CALL(cudaMemcpyAsync(host_.data(), device_, n * sizeof(T), cudaMemcpyDeviceToHost, stream));
    GALVAN_CUDA_CALL(cudaStreamSynchronize(stream));
    return host_.data();
  }

 private:
  T* device_ = nullptr;
  Pinned<T> host_;
};

}  // namespace galvan
