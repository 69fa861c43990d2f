// Memory that a kernel needs while it runs, from the tensors' cache.
#pragma once

#include <cstdint>

#include "core/allocator.h"

namespace galvan {

// n elements of T, their contents unspecified.
template <class T>
class Scratch {
 public:
  explicit Scratch(int64_t n)
      : bytes_(n * static_cast<int64_t>(sizeof(T))), data_(static_cast<T*>(allocate_memory(bytes_))) {}
  ~Scratch() { free_memory(data_, bytes_); }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  T* data() const { return data_; }

 private:
  int64_t bytes_;
  T* data_;
};

}  // namespace galvan
