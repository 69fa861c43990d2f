// Plain structs in a device's memory, for kernels to read and write, and a copy for the host.
#pragma once

#include <cstring>
#include <span>
#include <vector>

#include "core/tensor.h"

namespace galvan {

template <class T>
class DeviceTable {
  static_assert(std::is_trivially_copyable_v<T> && sizeof(T) % sizeof(int32_t) == 0);

 public:
  DeviceTable(const std::vector<T>& values, Device device)
      : size_(values.size()),
        host_(Tensor::zeros({static_cast<int64_t>(size_ * sizeof(T) / sizeof(int32_t))},
                            {.dtype = DType::i32})) {
    std::memcpy(host().data(), values.data(), size_ * sizeof(T));
    words_ = host_.to(device);
  }

  T* data() const { return at(words_); }
  // The host's copy; on the CPU it is the table itself.
  std::span<T> host() const { return {at(host_), size_}; }
  // Copies, in the order of the device's stream; the host waits for what it reads.
  void to_device() const {
    if (!words_.device().is_cpu()) words_.copy_(host_);
  }
  std::span<T> to_host() const {
    if (!words_.device().is_cpu()) host_.copy_(words_);
    return host();
  }

 private:
  static T* at(const Tensor& words) { return reinterpret_cast<T*>(words.data<int32_t>()); }

  size_t size_;
  Tensor host_, words_;
};

}  // namespace galvan
