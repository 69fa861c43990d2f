// The Sobol sequence: points that fill the unit cube more evenly than random ones, any first 2^k of them above all.
// In the order of Gray's code, unscrambled, the first point 0: as SciPy's qmc.Sobol and PyTorch's SobolEngine have it.
#pragma once

#include <cstdint>

namespace galvan {

inline constexpr int kSobolDimensions = 21;

// Coordinate `dimension`, from 0, of point n, times 2^32.
uint32_t sobol_bits(uint32_t n, int dimension);

}  // namespace galvan
