// Runs of the real kernels by themselves: arrays on the card, and what a run leaves in them.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "../cuda/kernel_test.h"
#include "cuda/sim/launch.h"

namespace galvan {

class Card {
 public:
  Cuda on() const { return Cuda{stream_}; }

  // An array of these values; of n random ones in [-1, 1); of n zeros.
  template <class T>
  T* array(const std::vector<T>& values) {
    const char* const bytes = reinterpret_cast<const char*>(values.data());
    arrays_.push_back(
        std::make_unique<DeviceArray<char>>(std::vector<char>(bytes, bytes + values.size() * sizeof(T))));
    return reinterpret_cast<T*>(arrays_.back()->data());
  }
  template <class T>
  T* random(int64_t n) {
    return array(random_values<T>(n, std::to_string(arrays_.size())));
  }
  template <class T>
  T* zeros(int64_t n) {
    return array(std::vector<T>(static_cast<size_t>(n)));
  }

  // The bytes of all the arrays, one after the other.
  std::vector<char> contents() const {
    std::vector<char> all;
    for (const auto& array : arrays_) {
      const std::vector<char> bytes = array->values();
      all.insert(all.end(), bytes.begin(), bytes.end());
    }
    return all;
  }

 private:
  const Stream stream_;
  std::vector<std::unique_ptr<DeviceArray<char>>> arrays_;
};

// C [m, n] = A [m, k] B [k, n], all dense.
template <class T>
Gemm<T, T> dense_product(Card& card, int64_t m, int64_t n, int64_t k) {
  return {.m = m,
          .n = n,
          .k = k,
          .a = card.random<T>(m * k),
          .lda = k,
          .b = card.random<T>(k * n),
          .ldb = n,
          .c = card.zeros<T>(m * n),
          .ldc = n};
}

// gemm_gelu_backward of such a product in bfloat16.
inline void gelu_product(Card& card, int64_t m, int64_t n, int64_t k) {
  gemm_gelu_backward<bfloat16>(card.on(), dense_product<bfloat16>(card, m, n, k), card.zeros<bfloat16>(n),
                               card.random<bfloat16>(m * n), card.zeros<bfloat16>(n),
                               card.zeros<float>(row_blocks(m) * n));
}

// The rows of a dense tensor [B, T, heads, D].
template <class T>
HeadRows<T> head_rows(T* data, int64_t length, int64_t heads, int64_t D) {
  return {data, length * heads * D, D, heads * D};
}

}  // namespace galvan
