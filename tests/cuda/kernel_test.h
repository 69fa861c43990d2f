// Kernels of the two contexts side by side, on the same inputs.
#pragma once

#include <doctest/doctest.h>

#include <cmath>
#include <memory>
#include <vector>

#include "core/kernels.h"
#include "core/random.h"
#include "cuda/runtime/check.h"
#include "cuda/runtime/stream.h"

namespace galvan {

// cudaMemcpy alone returns when the host's memory has been read, and no stream of ours waits for the rest.
inline void copy_to_card(void* to, const void* from, size_t bytes) {
  GALVAN_CUDA_CALL(cudaMemcpy(to, from, bytes, cudaMemcpyHostToDevice));
  GALVAN_CUDA_CALL(cudaDeviceSynchronize());
}

// An array on the card, with what the host has in it.
template <class T>
class DeviceArray {
 public:
  explicit DeviceArray(const std::vector<T>& values) : size_(values.size()) {
    GALVAN_CUDA_CALL(cudaMalloc(reinterpret_cast<void**>(&data_), (size_ + 1) * sizeof(T)));
    copy_to_card(data_, values.data(), size_ * sizeof(T));
  }
  explicit DeviceArray(size_t size) : DeviceArray(std::vector<T>(size)) {}
  ~DeviceArray() { cudaFree(data_); }
  DeviceArray(const DeviceArray&) = delete;
  DeviceArray& operator=(const DeviceArray&) = delete;

  T* data() const { return data_; }
  std::vector<T> values() const {
    std::vector<T> host(size_);
    GALVAN_CUDA_CALL(cudaDeviceSynchronize());
    GALVAN_CUDA_CALL(cudaMemcpy(host.data(), data_, size_ * sizeof(T), cudaMemcpyDeviceToHost));
    return host;
  }

 private:
  size_t size_;
  T* data_ = nullptr;
};

// n values in [low, high), the same for every dtype but for rounding.
template <class T>
std::vector<T> random_values(int64_t n, std::string_view stream, double low = -1, double high = 1) {
  std::vector<T> values(static_cast<size_t>(n));
  const RandomStream random{.seed = 7, .stream = stream_of(stream)};
  for (int64_t i = 0; i < n; ++i) {
    const float u = uniform_from(random.words(static_cast<uint64_t>(i) / 4)[static_cast<size_t>(i % 4)]);
    values[static_cast<size_t>(i)] = static_cast<T>(static_cast<float>(low + (high - low) * u));
  }
  return values;
}

// Half a unit in the last place, times what `terms` added numbers may lose.
template <class T>
double tolerance(int64_t terms) {
  const double unit = std::is_same_v<T, double> ? 0x1p-53 : std::is_same_v<T, float> ? 0x1p-24 : 0x1p-9;
  const double sum_unit = std::is_same_v<T, double> ? 0x1p-53 : 0x1p-24;
  return 4 * unit + 4 * sum_unit * std::sqrt(static_cast<double>(terms));
}

// |a - b| <= tolerance (1 + |b|) for all elements; NaN equals NaN.
template <class T>
void check_close(const std::vector<T>& a, const std::vector<T>& b, double tolerance) {
  REQUIRE(a.size() == b.size());
  for (size_t i = 0; i < a.size(); ++i) {
    const double x = static_cast<double>(a[i]), y = static_cast<double>(b[i]);
    if (std::isnan(x) && std::isnan(y)) continue;
    if (std::fabs(x - y) <= tolerance * (1 + std::fabs(y)) || x == y) continue;
    CAPTURE(i);
    INFO("difference " << x - y << ", allowed " << tolerance * (1 + std::fabs(y)));
    CAPTURE(x);
    CAPTURE(y);
    FAIL("elements differ");
  }
}

// One array, on the host and on the card: on(Cpu{}) and on(cuda) are what the two kernels get.
template <class T>
struct Both {
  std::vector<T> host;
  DeviceArray<T> device;

  Both(std::vector<T> values) : host(std::move(values)), device(host) {}
  explicit Both(int64_t n) : Both(std::vector<T>(static_cast<size_t>(n))) {}

  T* on(Cpu, bool wanted = true) { return wanted ? host.data() : nullptr; }
  T* on(Cuda, bool wanted = true) { return wanted ? device.data() : nullptr; }
  // What the card has computed equals what the host has.
  void check(double tolerance) const { check_close(device.values(), host, tolerance); }
};

// The same, zeros at first, for bool too, of which a std::vector has no elements to point at.
template <class T>
struct Plain {
  size_t size;
  std::unique_ptr<T[]> host;
  DeviceArray<char> device;

  explicit Plain(int64_t n)
      : size(static_cast<size_t>(n)), host(new T[size]()), device(std::vector<char>(size * sizeof(T))) {}
  T* on_device() const { return reinterpret_cast<T*>(device.data()); }
  void to_device() const { copy_to_card(device.data(), host.get(), size * sizeof(T)); }
  // Whether the card's array equals the host's; NaN equals NaN, as their bits need not.
  bool same() const {
    const std::vector<char> bytes = device.values();
    const T* const on_card = reinterpret_cast<const T*>(bytes.data());
    for (size_t i = 0; i < size; ++i)
      if (on_card[i] != host[i] && (on_card[i] == on_card[i] || host[i] == host[i])) return false;
    return true;
  }
};

}  // namespace galvan
