// What every e^x in f32 has in common: that of numbers (core/math.h), of vectors (core/cpu/simd/math.h), of attention.
//   x = n ln 2 + r, |r| <= ln(2)/2;   e^x = 2^n e^r;   e^r = 1 + r + r^2 P(r)
// P is that of Cephes' expf (S. Moshier, netlib.org/cephes). ln 2 is taken off in two parts, so that n times the first
// is exact.
#pragma once

namespace galvan {

inline constexpr float kExpShift =
    12582912.0f;  // 1.5 2^23: adding it rounds to an integer in the lowest bits

template <class F>
struct ExpParts {
  F shifted;  // kExpShift + n: its bits less those of kExpShift are n
  F e;        // e^r, in [0.7, 1.42]
};

// F is float or a vector of them. |x| is at most 2^21; NaN gives e = NaN.
template <class F>
[[gnu::always_inline]] inline ExpParts<F> exp_parts(F x) {
  const F shifted = x * 1.44269504f + kExpShift;
  const F n = shifted - kExpShift;
  const F r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
  F p = 1.9875691500e-4f * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  return {shifted, (p * (r * r) + r) + 1.0f};
}

}  // namespace galvan
