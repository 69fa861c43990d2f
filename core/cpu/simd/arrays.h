// The functions of simd/math.h over arrays, for code that is not a *.simd.cpp file itself:
//
//   with_isa([&]<Isa isa>() { exp_array<isa>(n, x, y); });
#pragma once

#include <cstdint>

#include "core/cpu/simd/isa.h"

namespace galvan {

// y[i] = e^x[i], 0 <= i < n, in the calling thread; y may be x.
template <Isa>
void exp_array(int64_t n, const float* x, float* y);

}  // namespace galvan
