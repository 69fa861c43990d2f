// How far an op's result may be from the exact one.
#pragma once

#include <cmath>

#include "core/dtype.h"

namespace galvan {

// |got - exact| <= (2 u + 8 v) sqrt(length) (1 + |exact|)
// u is the rounding error of the dtype, v that of what it is computed in; length the number of terms in the longest
// sum: rounding errors add up like a random walk (Higham & Mary, SIAM J. Sci. Comput. 41, 2019). Inputs are about 1
// in size, hence the 1.
inline double tolerance(DType dtype, int64_t length, double exact) {
  const double v = dtype == DType::f64 ? 0x1p-53 : 0x1p-24;
  const double u = dtype == DType::bf16 ? 0x1p-8 : v;
  return (2.0 * u + 8.0 * v) * std::sqrt(static_cast<double>(length < 1 ? 1 : length)) *
         (1.0 + std::fabs(exact));
}

}  // namespace galvan
