// Elementary functions for pointwise kernels, on host and device. On the host those for float have no
// branches and call no library, so that loops over them become vector code; errors, measured over all floats
// near the range that matters, are a few units in the last place. Those for double are the library's.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

#include "core/exp.h"

// Marks a function that CUDA kernels call too.
#ifdef __CUDACC__
#define GALVAN_HD __host__ __device__
#else
#define GALVAN_HD
#endif

namespace galvan::math {

GALVAN_HD inline double exp(double x) { return ::exp(x); }
GALVAN_HD inline double tanh(double x) { return ::tanh(x); }
GALVAN_HD inline double erf(double x) { return ::erf(x); }

#ifdef __CUDA_ARCH__
GALVAN_HD inline float exp(float x) { return ::expf(x); }
GALVAN_HD inline float tanh(float x) { return ::tanhf(x); }
GALVAN_HD inline float erf(float x) { return ::erff(x); }
#else

// exp.h, and 2^n in two factors, because 2^128 and 2^-150 are no floats.
inline float exp(float x) {
  x = x > 89.0f ? 89.0f : x;  // NaN passes both
  x = x < -104.0f ? -104.0f : x;
  const auto [shifted, e] = exp_parts(x);
  const int32_t n = std::bit_cast<int32_t>(shifted) - std::bit_cast<int32_t>(kExpShift);
  const int32_t half = n >> 1;
  const float scale = std::bit_cast<float>(static_cast<uint32_t>(half + 127) << 23);
  const float rest = std::bit_cast<float>(static_cast<uint32_t>(n - half + 127) << 23);
  return e * scale * rest;
}

// |x| < 0.6: x + x^3 P(x^2), P fitted; else 1 - 2 / (e^2|x| + 1), with x's sign.
inline float tanh(float x) {
  const float s = x * x;
  float p = -6.276390170e-3f;
  p = p * s + 2.111621605e-2f;
  p = p * s - 5.387513876e-2f;
  p = p * s + 1.333292401e-1f;
  p = p * s - 3.333333043e-1f;
  const float small = x + x * s * p;
  const float size = std::fabs(x);
  const float large = std::copysign(1.0f - 2.0f / (exp(2.0f * size) + 1.0f), x);
  return size < 0.6f ? small : large;
}

// |x| < 1: x + x P(x^2); else 1 - e^-(|x| + Q(|x|)), with x's sign. P and Q fitted.
inline float erf(float x) {
  const float s = x * x;
  float p = 7.882497112e-5f;
  p = p * s - 8.018854993e-4f;
  p = p * s + 5.189311943e-3f;
  p = p * s - 2.685432880e-2f;
  p = p * s + 1.128359746e-1f;
  p = p * s - 3.761262690e-1f;
  p = p * s + 1.283791659e-1f;
  const float small = x + x * p;
  const float size = std::fabs(x);
  const float t = size > 4.0f ? 4.0f : size;  // NaN passes
  float q = -1.614061609e-6f;
  q = q * t + 4.559062256e-5f;
  q = q * t - 5.927695388e-4f;
  q = q * t + 4.740222346e-3f;
  q = q * t - 2.636471738e-2f;
  q = q * t + 1.099782452e-1f;
  q = q * t + 6.319370936e-1f;
  q = q * t + 1.301666755e-1f;
  q = q * t - 3.032129743e-4f;
  const float large = std::copysign(1.0f - exp(-(t + q)), x);
  return size < 1.0f ? small : large;
}

#endif

// 1 / sqrt(x); a card's for float is within 2 units in the last place.
template <class T>
GALVAN_HD inline T rsqrt(T x) {
  return T(1) / std::sqrt(x);
}
#ifdef __CUDA_ARCH__
GALVAN_HD inline float rsqrt(float x) { return ::rsqrtf(x); }
#endif

template <class T>
GALVAN_HD inline T sigmoid(T x) {
  return T(1) / (T(1) + exp(-x));
}
#ifdef __CUDA_ARCH__
// Of two approximations, 2^x within 2 units in the last place and 1 / x within 1 (PTX ISA, ex2.approx and rcp.approx), which
// take an instruction each. More comes of rounding the first one's exponent: up to about 0.5 |x| units below 0. 0 where x is
// below -88.
GALVAN_HD inline float sigmoid(float x) {
  float power, share;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(power) : "f"(x * -1.44269504f));
  asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(share) : "f"(1.0f + power));
  return share;
}
#endif

}  // namespace galvan::math
