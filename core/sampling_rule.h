// How an index is drawn from logits, in whole numbers, so that every device draws the same one:
//
//   order   the larger logit first, among equals the smaller index; +0 and -0 are equal
//   weight  w_i = 2^40 e^((x_i - max) / temperature), cut to a whole number
//   kept    the first top_k of the order; of those the fewest first ones that weigh at least ceil(top_p sum w)
//   drawn   the first kept i whose w_0 + ... + w_i, over what is kept, exceeds floor(random sum w / 2^64)
//
// Sums of whole numbers do not depend on the order of adding. What is rounded, the exponential, is rounded alike
// everywhere: each step is one multiplication, one sum or one fused multiply-add, asked for by name.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

#include "core/dtype.h"
#include "core/exp.h"
#include "core/math.h"

namespace galvan {

struct SamplingRule {
  float inverse_temperature = 1;  // finite
  int64_t top_k = 0;              // 0: all; 1: the first of the order, whatever else is asked
  double top_p = 1;
  uint64_t random = 0;
};

// What is drawn where nothing can be.
inline constexpr int32_t kLogitIsNan = -1;
inline constexpr int32_t kLargestLogitIsInfinite = -2;

inline constexpr int64_t kMostLogits = int64_t{1} << 23;  // the sum of the weights fits 64 bits

// Whole numbers in the order of the logits.
GALVAN_HD inline uint32_t sampling_key(float x) {
  const auto bits = std::bit_cast<uint32_t>(x + 0.0f);
  return bits >> 31 ? ~bits : bits | uint32_t{1} << 31;
}
GALVAN_HD inline uint64_t sampling_key(double x) {
  const auto bits = std::bit_cast<uint64_t>(x + 0.0);
  return bits >> 63 ? ~bits : bits | uint64_t{1} << 63;
}

// `below`: x_i - max, 0 or less. The exponential is that of core/exp.h.
GALVAN_HD inline uint64_t sampling_weight(float below, float inverse_temperature) {
  const float x = below * inverse_temperature;
  if (!(x > -43.0f)) return 0;  // below 2^-62
  const float shifted = ::fmaf(x, 1.44269504f, kExpShift);
  const float n = shifted - kExpShift;
  const float r = ::fmaf(n, 2.12194440e-4f, ::fmaf(n, -0.693359375f, x));
  float p = ::fmaf(r, 1.9875691500e-4f, 1.3981999507e-3f);
  p = ::fmaf(p, r, 8.3334519073e-3f);
  p = ::fmaf(p, r, 4.1665795894e-2f);
  p = ::fmaf(p, r, 1.6666665459e-1f);
  p = ::fmaf(p, r, 5.0000001201e-1f);
  const float e = ::fmaf(p, r * r, r) + 1.0f;
  return static_cast<uint64_t>(e * 0x1p24f) << 16 >> static_cast<int>(-n);
}

// How much of `total` must be kept for top_p.
GALVAN_HD inline uint64_t sampling_target(uint64_t total, double top_p) {
  const auto target = static_cast<uint64_t>(::ceil(top_p * static_cast<double>(total)));
  return target < 1 ? 1 : target > total ? total : target;
}

// What the sum of the weights must exceed.
GALVAN_HD inline uint64_t sampling_point(uint64_t total, uint64_t random) {
  return static_cast<uint64_t>(static_cast<unsigned __int128>(random) * total >> 64);
}

}  // namespace galvan
