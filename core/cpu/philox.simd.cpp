// Philox 4x32-10, a block in every 64-bit lane: a word is a lane's lower half, and what stands in the upper half
// is never looked at.
#include "core/cpu/philox.h"

#include "core/cpu/simd/vec.h"

namespace galvan::GALVAN_ISA {
namespace {

using W = Vec<uint64_t>;
constexpr int kBlocks = kLanes<uint64_t>;

// The 64-bit products of the lower halves.
GALVAN_INLINE W multiply(W a, W b) {
#if defined(__AVX512F__)
  return (W)_mm512_maskz_mul_epu32(0xFF, (__m512i)a,
                                   (__m512i)b);  // g++ 12 warns of what _mm512_mul_epu32 is made of
#elif defined(__AVX2__)
  return (W)_mm256_mul_epu32((__m256i)a, (__m256i)b);
#else
  return (a & 0xFFFFFFFFu) * (b & 0xFFFFFFFFu);
#endif
}

template <int... I>
GALVAN_INLINE W counting(std::integer_sequence<int, I...>) {
  return W{I...};
}

template <int... I>
GALVAN_INLINE void store_interleaved(W a, W b, uint32_t* words, std::integer_sequence<int, I...>) {
  const W first = __builtin_shufflevector(a, b, (I / 2 + (I % 2 ? kBlocks : 0))...);
  const W second = __builtin_shufflevector(a, b, (kBlocks / 2 + I / 2 + (I % 2 ? kBlocks : 0))...);
  __builtin_memcpy(words, &first, sizeof(W));
  __builtin_memcpy(words + 2 * kBlocks, &second, sizeof(W));
}

GALVAN_INLINE void draw(const PhiloxAddress& address, uint64_t first, uint32_t* words) {
  const W block = counting(LanesOf<W>{}) + first;
  W c0 = block, c1 = (block >> 32) | uint64_t{address.micro_step} << 16;
  W c2 = W{} + uint64_t{address.step}, c3 = W{} + uint64_t{address.stream};
  const W m0 = W{} + uint64_t{0xD2511F53u}, m1 = W{} + uint64_t{0xCD9E8D57u};
  uint32_t k0 = address.key[0], k1 = address.key[1];
#pragma GCC unroll 10
  for (int round = 0; round < 10; ++round) {
    const W p0 = multiply(c0, m0), p1 = multiply(c2, m1);
    c0 = (p1 >> 32) ^ c1 ^ uint64_t { k0 };
    c2 = (p0 >> 32) ^ c3 ^ uint64_t { k1 };
    c1 = p1, c3 = p0;
    k0 += 0x9E3779B9u, k1 += 0xBB67AE85u;
  }
  store_interleaved((c0 & 0xFFFFFFFFu) | c1 << 32, (c2 & 0xFFFFFFFFu) | c3 << 32, words, LanesOf<W>{});
}

}  // namespace
}  // namespace galvan::GALVAN_ISA

namespace galvan {

template <Isa>
void philox_blocks(const PhiloxAddress& address, uint64_t first, uint32_t* words) {
  for (int b = 0; b < kPhiloxBlocks; b += GALVAN_ISA::kBlocks)
    GALVAN_ISA::draw(address, first + static_cast<uint64_t>(b), words + 4 * b);
}

template void philox_blocks<Isa::GALVAN_ISA>(const PhiloxAddress&, uint64_t, uint32_t*);

}  // namespace galvan
