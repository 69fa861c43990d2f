// The host's memory that the card reads and writes by itself while the host goes on; a copy from or to other memory of
// the host is waited for.
#pragma once

#include <cstddef>

#include "cuda/runtime/check.h"

namespace galvan {

// n elements of T, their contents unspecified.
template <class T>
class Pinned {
 public:
  explicit Pinned(size_t n) {
    GALVAN_CUDA_CALL(cudaMallocHost(reinterpret_cast<void**>(&data_), n * sizeof(T)));
  }
  ~Pinned() { cudaFreeHost(data_); }
  Pinned(const Pinned&) = delete;
  Pinned& operator=(const Pinned&) = delete;

  T* data() const { return data_; }

 private:
  T* data_ = nullptr;
};

}  // namespace galvan
