// Elementary functions on vectors, for *.simd.cpp files (isa.h).
#pragma once

#include "core/cpu/simd/vec.h"

namespace galvan::GALVAN_ISA {

// e^x in f32, off by at most 1 unit in the last place. Subnormal results, 0 below -103.98, infinity
// above 88.72 and NaN come out as they should.
//   x = n ln 2 + r, |r| <= ln(2)/2;   e^x = 2^n e^r;   e^r = 1 + r + r^2 P(r)
// The polynomial is that of Cephes' expf (S. Moshier, netlib.org/cephes). ln 2 is taken off in two parts, so
// that n times the first is exact.
GALVAN_INLINE Vec<float> exp(Vec<float> x) {
  using F = Vec<float>;
  using I = Vec<int32_t>;
  x = select(x > broadcast(89.0f), broadcast(89.0f), x);  // NaN passes both
  x = select(x < broadcast(-104.0f), broadcast(-104.0f), x);

  const F shift = broadcast(12582912.0f);  // 1.5 * 2^23: adding it rounds to an integer in the lowest bits
  const F shifted = fma(x, broadcast(1.44269504f), shift);
  const F n = shifted - shift;
  F r = fma(n, broadcast(-0.693359375f), x);
  r = fma(n, broadcast(2.12194440e-4f), r);

  F p = broadcast(1.9875691500e-4f);
  p = fma(p, r, broadcast(1.3981999507e-3f));
  p = fma(p, r, broadcast(8.3334519073e-3f));
  p = fma(p, r, broadcast(4.1665795894e-2f));
  p = fma(p, r, broadcast(1.6666665459e-1f));
  p = fma(p, r, broadcast(5.0000001201e-1f));
  const F e = fma(p, r * r, r) + 1.0f;

  // 2^n in two factors: 2^128 and 2^-150 are no floats, but their halves are.
  const I exponent = bits_as<int32_t>(shifted) - bits_as<int32_t>(shift);
  const I half = exponent >> 1;
  const F scale = bits_as<float>((half + 127) << 23);
  const F rest = bits_as<float>((exponent - half + 127) << 23);
  return e * scale * rest;
}

}  // namespace galvan::GALVAN_ISA
