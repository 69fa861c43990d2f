// Element types.
#pragma once

#include <bit>
#include <cstdint>
#include <iosfwd>
#include <type_traits>

namespace galvan {

// The upper half of a float: 8 bits of exponent, 7 of fraction. A storage type: arithmetic happens in float.
struct bfloat16 {
  uint16_t bits = 0;

  bfloat16() = default;
  // Rounds to nearest, ties to even; NaN stays NaN.
  constexpr explicit bfloat16(float value) {
#ifdef __CUDA_ARCH__
    if (!std::is_constant_evaluated()) {
      asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(bits) : "f"(value));
      return;
    }
#endif
    const uint32_t u = std::bit_cast<uint32_t>(value);
    const uint32_t rounded = (u + 0x7fffu + ((u >> 16) & 1u)) >> 16;
    const bool is_nan = (u & 0x7fffffffu) > 0x7f800000u;
    bits = static_cast<uint16_t>(is_nan ? (u >> 16) | 0x40u : rounded);
  }
  constexpr operator float() const { return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16); }
};

enum class DType : uint8_t { f32, f64, bf16, i32, boolean };

// "f32", "f64", "bf16", "i32", "bool".
const char* name(DType dtype);
std::ostream& operator<<(std::ostream& out, DType dtype);

constexpr int64_t size_of(DType dtype) {
  switch (dtype) {
    case DType::f64:
      return 8;
    case DType::f32:
    case DType::i32:
      return 4;
    case DType::bf16:
      return 2;
    case DType::boolean:
      return 1;
  }
  return 0;
}

constexpr bool is_floating(DType dtype) {
  return dtype == DType::f32 || dtype == DType::f64 || dtype == DType::bf16;
}

// The DType of a C++ type: dtype_of<float> == DType::f32.
template <class T>
inline constexpr DType dtype_of = [] {
  static_assert(!sizeof(T*), "not an element type of a tensor");
  return DType::f32;
}();
template <>
inline constexpr DType dtype_of<float> = DType::f32;
template <>
inline constexpr DType dtype_of<double> = DType::f64;
template <>
inline constexpr DType dtype_of<bfloat16> = DType::bf16;
template <>
inline constexpr DType dtype_of<int32_t> = DType::i32;
template <>
inline constexpr DType dtype_of<bool> = DType::boolean;

// What sums of T are accumulated in: float for bfloat16, T itself otherwise.
template <class T>
struct AccumulateIn {
  using type = T;
};
template <>
struct AccumulateIn<bfloat16> {
  using type = float;
};
template <class T>
using Acc = typename AccumulateIn<T>::type;

// The dtype of Acc<T>, for a tensor that holds such sums.
constexpr DType acc_dtype(DType dtype) { return dtype == DType::bf16 ? DType::f32 : dtype; }

// A set of element types, for the table of ops.
class DTypes {
 public:
  constexpr DTypes() = default;
  constexpr DTypes(DType dtype) : mask_(1u << static_cast<unsigned>(dtype)) {}
  constexpr DTypes operator|(DTypes other) const {
    DTypes both;
    both.mask_ = mask_ | other.mask_;
    return both;
  }
  constexpr bool contains(DType dtype) const { return mask_ >> static_cast<unsigned>(dtype) & 1u; }

 private:
  unsigned mask_ = 0;
};

inline constexpr DTypes kFloating = DTypes(DType::f32) | DType::f64 | DType::bf16;
inline constexpr DTypes kNumbers = kFloating | DType::i32;
inline constexpr DTypes kAnyType = kNumbers | DType::boolean;

}  // namespace galvan
