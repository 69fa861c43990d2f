// Elementary functions on vectors, for *.simd.cpp files (isa.h).
#pragma once

#include "core/cpu/simd/vec.h"
#include "core/exp.h"

namespace galvan::GALVAN_ISA {

// e^x in f32 (core/exp.h), off by at most 1 unit in the last place. Subnormal results, 0 below -103.98, infinity above
// 88.72 and NaN come out as they should.
GALVAN_INLINE Vec<float> exp(Vec<float> x) {
  using F = Vec<float>;
  using I = Vec<int32_t>;
  x = select(x > broadcast(89.0f), broadcast(89.0f), x);  // NaN passes both
  x = select(x < broadcast(-104.0f), broadcast(-104.0f), x);
  const auto [shifted, e] = exp_parts(x);

  // 2^n in two factors: 2^128 and 2^-150 are no floats, but their halves are.
  const I n = bits_as<int32_t>(shifted) - bits_as<int32_t>(broadcast(kExpShift));
  const I half = n >> 1;
  const F scale = bits_as<float>((half + 127) << 23);
  const F rest = bits_as<float>((n - half + 127) << 23);
  return e * scale * rest;
}

}  // namespace galvan::GALVAN_ISA
