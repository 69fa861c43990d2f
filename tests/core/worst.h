// The worst of many errors.
#pragma once

#include <cmath>

namespace galvan {

// The larger one; NaN, which std::max and std::fmax lose, is larger than any number.
inline double worse(double a, double b) { return std::isnan(a) || a > b ? a : b; }

}  // namespace galvan
