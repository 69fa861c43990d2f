// Vectors as wide as a register of the instruction set that a *.simd.cpp file is being compiled for (isa.h
// says how; include this nowhere else).
//
//   Vec<float> x = load(p);                 kLanes<float> of them: 4, 8 or 16
//   x = fma(x, x, broadcast(1.0f));         operators + - * / < & << and so on are the compiler's own
//   x = select(x > y, x, y);                comparisons give Vec<int32_t> of 0 and -1
//   float s = reduce_add(exp(x));           math.h: exp
//   store_n(q, x, 5);                       the first 5 lanes alone; load_n reads 5 and fills with 0
//
// bfloat16 is a storage type: load_as<float>(p) and load_n_as<float>(p, n) widen it, store_as(p, v) rounds to
// nearest even. (Do not call its own conversions here, which are shared with the rest of the program.)
//
// Vec is a type of the compiler (GCC's and clang's vector extension), for float, double, int32_t and int64_t.
// A kernel that keeps an array of Vec in registers must have all loops over it unrolled (#pragma GCC unroll).
#pragma once

#include <cstdint>
#include <utility>

#include "core/cpu/simd/isa.h"
#include "core/dtype.h"

#ifndef GALVAN_ISA
#error "core/cpu/simd/vec.h is for *.simd.cpp files, which are compiled once for every instruction set"
#endif

#if defined(__AVX2__) || defined(__AVX512F__)
#include <immintrin.h>
#endif

#define GALVAN_INLINE [[gnu::always_inline]] inline

namespace galvan::GALVAN_ISA {

constexpr Isa kIsa = Isa::GALVAN_ISA;
constexpr int kVectorBytes = kIsa == Isa::avx512 ? 64 : kIsa == Isa::avx2 ? 32 : 16;

template <class T>
struct VecOf {
  typedef T type __attribute__((vector_size(kVectorBytes)));
};
template <class T>
using Vec = typename VecOf<T>::type;

template <class T>
constexpr int kLanes = kVectorBytes / sizeof(T);

// Pointers need only the alignment of T.
template <class T>
GALVAN_INLINE Vec<T> load(const T* p) {
  Vec<T> v;
  __builtin_memcpy(&v, p, sizeof(v));
  return v;
}

template <class T>
GALVAN_INLINE void store(T* p, Vec<T> v) {
  __builtin_memcpy(p, &v, sizeof(v));
}

template <class T>
GALVAN_INLINE Vec<T> broadcast(T value) {
  return value - Vec<T>{};  // x - 0 is x for every x, -0 and NaN too
}

// Only the first n lanes, 0 <= n <= kLanes<T>: no other byte of memory is touched.
template <class T>
GALVAN_INLINE Vec<T> load_n(const T* p, int n) {
#if defined(__AVX512F__)
  if constexpr (sizeof(T) == 4) {
    return (Vec<T>)_mm512_maskz_loadu_epi32(static_cast<__mmask16>((1u << n) - 1), p);
  } else {
    return (Vec<T>)_mm512_maskz_loadu_epi64(static_cast<__mmask8>((1u << n) - 1), p);
  }
#else
  T lanes[kLanes<T>] = {};
  for (int i = 0; i < n; ++i) lanes[i] = p[i];
  return load(lanes);
#endif
}

template <class T>
GALVAN_INLINE void store_n(T* p, Vec<T> v, int n) {
#if defined(__AVX512F__)
  if constexpr (sizeof(T) == 4) {
    _mm512_mask_storeu_epi32(p, static_cast<__mmask16>((1u << n) - 1), (__m512i)v);
  } else {
    _mm512_mask_storeu_epi64(p, static_cast<__mmask8>((1u << n) - 1), (__m512i)v);
  }
#else
  T lanes[kLanes<T>];
  store(lanes, v);
  for (int i = 0; i < n; ++i) p[i] = lanes[i];
#endif
}

// The vector's bits as lanes of another type of the same size.
template <class To, class From>
GALVAN_INLINE Vec<To> bits_as(From v) {
  return (Vec<To>)v;
}

// Lane by lane: a where the condition holds.
template <class Mask, class V>
GALVAN_INLINE V select(Mask condition, V a, V b) {
  return condition ? a : b;
}

// Loads that convert: Vec<T> out of T or, for T = float, of bfloat16.
template <class T>
GALVAN_INLINE Vec<T> load_as(const T* p) {
  return load(p);
}
template <class T>
GALVAN_INLINE Vec<T> load_n_as(const T* p, int n) {
  return load_n(p, n);
}

struct HalfVec {
  typedef uint16_t type __attribute__((vector_size(kVectorBytes / 2)));
};

// The 16 bits of each lane, in the lower half of 32.
GALVAN_INLINE Vec<uint32_t> load_bits(const bfloat16* p) {
  HalfVec::type half;
  __builtin_memcpy(&half, &p->bits, sizeof(half));
  return __builtin_convertvector(half, Vec<uint32_t>);
}
GALVAN_INLINE Vec<uint32_t> load_bits_n(const bfloat16* p, int n) {
#if defined(__AVX512F__)
  const auto half = (HalfVec::type)_mm256_maskz_loadu_epi16(static_cast<__mmask16>((1u << n) - 1), p);
  return __builtin_convertvector(half, Vec<uint32_t>);
#else
  uint32_t lanes[kLanes<uint32_t>] = {};
  for (int i = 0; i < n; ++i) lanes[i] = p[i].bits;
  return load(lanes);
#endif
}

template <class T>
GALVAN_INLINE Vec<T> load_as(const bfloat16* p) {
  return bits_as<T>(load_bits(p) << 16);
}
template <class T>
GALVAN_INLINE Vec<T> load_n_as(const bfloat16* p, int n) {
  return bits_as<T>(load_bits_n(p, n) << 16);
}

// Stores that convert: of T as it is, or of float rounded to bfloat16.
template <class T, class V>
GALVAN_INLINE void store_as(T* p, V v) {
  store(p, v);
}
template <class T, class V>
GALVAN_INLINE void store_n_as(T* p, V v, int n) {
  store_n(p, v, n);
}

// To nearest, ties to even; NaN stays NaN.
GALVAN_INLINE HalfVec::type round_to_bfloat16(Vec<float> v) {
  const Vec<uint32_t> bits = bits_as<uint32_t>(v);
  const Vec<uint32_t> rounded = bits + 0x7fffu + ((bits >> 16) & 1u);
  const Vec<uint32_t> chosen = select(v == v, rounded, bits | 0x400000u);
  return __builtin_convertvector(chosen >> 16, HalfVec::type);
}
GALVAN_INLINE void store_as(bfloat16* p, Vec<float> v) {
  const HalfVec::type half = round_to_bfloat16(v);
  __builtin_memcpy(&p->bits, &half, sizeof(half));
}
GALVAN_INLINE void store_n_as(bfloat16* p, Vec<float> v, int n) {
  const HalfVec::type half = round_to_bfloat16(v);
  for (int i = 0; i < n; ++i) p[i].bits = half[i];
}

// a b + c, rounded once where the processor can.
template <class V>
GALVAN_INLINE V fma(V a, V b, V c) {
  return a * b + c;  // contracted by -ffp-contract=fast
}

// NaN: max(a, b) and min(a, b) give b when either is NaN.
template <class V>
GALVAN_INLINE V max(V a, V b) {
  return a > b ? a : b;
}
template <class V>
GALVAN_INLINE V min(V a, V b) {
  return a < b ? a : b;
}

// combine(lane 0, lane 1, ...) in a tree, always in the same order.
template <class V, class Combine, int... I>
GALVAN_INLINE auto reduce(V v, Combine combine, std::integer_sequence<int, I...>) {
  constexpr int lanes = sizeof...(I);
#pragma GCC unroll 4
  for (int half = lanes / 2; half > 0; half /= 2) {
    // The half that is folded in moves to the front; the shuffle's indices must be constants.
    if (half == 8) v = combine(v, __builtin_shufflevector(v, v, (I + 8) % lanes...));
    if (half == 4) v = combine(v, __builtin_shufflevector(v, v, (I + 4) % lanes...));
    if (half == 2) v = combine(v, __builtin_shufflevector(v, v, (I + 2) % lanes...));
    if (half == 1) v = combine(v, __builtin_shufflevector(v, v, (I + 1) % lanes...));
  }
  return v[0];
}
template <class V>
using LanesOf = std::make_integer_sequence<int, sizeof(V) / sizeof(V{}[0])>;

template <class V>
GALVAN_INLINE auto reduce_add(V v) {
  return reduce(
      v, [](V a, V b) { return a + b; }, LanesOf<V>{});
}

}  // namespace galvan::GALVAN_ISA
