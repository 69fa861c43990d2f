// The simulated card's memory: one range of addresses, so that every address can be told apart from the host's,
// with a gap that belongs to nobody after each block.
#pragma once

#include <cstddef>
#include <string>

namespace galvan::sim {

inline constexpr size_t kDeviceMemoryBytes = size_t{4} << 30;
inline constexpr size_t kGapBytes = 256;

// Null when there is no room. Contents: bytes that as floats are NaN. `code`: who asks, in the program.
void* allocate_device(size_t bytes, const void* code);
// False: no such block.
bool free_device(void* pointer);
size_t device_bytes_in_use();
// Pinned memory of the host, likewise.
void* allocate_pinned(size_t bytes, const void* code);
void free_pinned(void* pointer);
bool is_pinned(const void* address);

// A line for each block of either that has not been freed: "... asked for at tests/sim/block.cpp:42 ...".
std::string unfreed_memory();

// Whether [address, address + bytes) lies in one block; else `what` says where it does lie: "12 bytes past the
// end of a block of 400".
bool is_device_range(const void* address, size_t bytes, std::string* what);
bool is_device_address(const void* address);
void* device_memory();  // the card's first byte
// The distance from it.
size_t device_offset(const void* address);

}  // namespace galvan::sim
