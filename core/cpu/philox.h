// Philox (core/random.h) for many counters at once.
#pragma once

#include <cstdint>

#include "core/cpu/simd/isa.h"

namespace galvan {

// A RandomStream as the four words of a counter, but for the block's number, and a key.
struct PhiloxAddress {
  uint32_t micro_step, step, stream;
  uint32_t key[2];
};

// How many blocks philox_blocks draws.
inline constexpr int kPhiloxBlocks = 64;

// words[4 b + w] = RandomStream::words(first + b)[w], 0 <= b < kPhiloxBlocks.
template <Isa>
void philox_blocks(const PhiloxAddress& address, uint64_t first, uint32_t* words);

}  // namespace galvan
