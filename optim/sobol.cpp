#include "optim/sobol.h"

#include <array>
#include <cassert>
#include <cstddef>

namespace galvan {
namespace {

// A primitive polynomial x^s + a_1 x^(s-1) + ... + a_(s-1) x + 1, the bits of `a` its inner coefficients, and the first
// s direction numbers: of dimensions 2 to 21 in S. Joe, F. Y. Kuo, "Constructing Sobol sequences with better
// two-dimensional projections", SIAM J. Sci. Comput. 30, 2008 (their file new-joe-kuo-6).
struct Direction {
  int s;
  uint32_t a;
  std::array<uint32_t, 7> m;
};
constexpr Direction kDirections[kSobolDimensions - 1] = {
    {1, 0, {1}},
    {2, 1, {1, 3}},
    {3, 1, {1, 3, 1}},
    {3, 2, {1, 1, 1}},
    {4, 1, {1, 1, 3, 3}},
    {4, 4, {1, 3, 5, 13}},
    {5, 2, {1, 1, 5, 5, 17}},
    {5, 4, {1, 1, 5, 5, 5}},
    {5, 7, {1, 1, 7, 11, 19}},
    {5, 11, {1, 1, 5, 1, 1}},
    {5, 13, {1, 1, 1, 3, 11}},
    {5, 14, {1, 3, 5, 5, 31}},
    {6, 1, {1, 3, 3, 9, 7, 49}},
    {6, 13, {1, 1, 1, 15, 21, 21}},
    {6, 16, {1, 3, 1, 13, 27, 49}},
    {6, 19, {1, 1, 1, 15, 7, 5}},
    {6, 22, {1, 3, 1, 15, 13, 25}},
    {6, 25, {1, 1, 5, 5, 19, 61}},
    {7, 1, {1, 3, 7, 11, 23, 15, 103}},
    {7, 4, {1, 3, 7, 13, 13, 15, 69}},
};

using Columns = std::array<uint32_t, 32>;  // v_k = m_k / 2^k, as 32-bit fractions

constexpr Columns columns(int dimension) {
  Columns v{};
  if (dimension == 0) {  // van der Corput's sequence
    for (int k = 0; k < 32; ++k) v[static_cast<size_t>(k)] = 1u << (31 - k);
    return v;
  }
  const auto& [s, a, m] = kDirections[dimension - 1];
  for (int k = 0; k < 32; ++k) {
    const auto i = static_cast<size_t>(k), degree = static_cast<size_t>(s);
    if (k < s) {
      v[i] = m[i] << (31 - k);
      continue;
    }
    v[i] = v[i - degree] ^ v[i - degree] >> s;
    for (int j = 1; j < s; ++j)
      if (a >> (s - 1 - j) & 1) v[i] ^= v[i - static_cast<size_t>(j)];
  }
  return v;
}

constexpr auto kColumns = [] {
  std::array<Columns, kSobolDimensions> all{};
  for (int d = 0; d < kSobolDimensions; ++d) all[static_cast<size_t>(d)] = columns(d);
  return all;
}();

}  // namespace

uint32_t sobol_bits(uint32_t n, int dimension) {
  assert(dimension >= 0 && dimension < kSobolDimensions);
  uint32_t bits = 0;
  const uint32_t gray = n ^ n >> 1;
  for (size_t k = 0; k < 32; ++k)
    if (gray >> k & 1) bits ^= kColumns[static_cast<size_t>(dimension)][k];
  return bits;
}

}  // namespace galvan
