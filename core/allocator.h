// Memory for tensors on the CPU: a cache that never gives back what it may need again.
//
// A block that is freed goes to a list of blocks of its size, and the next request of that size takes the one
// freed last (the one still in the processor's cache). A training step asks for the same sizes in the same
// order every time, so after the first step it takes nothing from the operating system and touches no new
// page.
#pragma once

#include <cstddef>
#include <cstdint>

namespace galvan {

struct MemoryStats {
  int64_t bytes_in_use = 0;        // handed out
  int64_t peak_bytes_in_use = 0;   // the most ever handed out
  int64_t bytes_reserved = 0;      // taken from the operating system
  int64_t system_allocations = 0;  // how often something was taken from it
};

// `bytes` of memory aligned to 64, its contents unspecified; throws Error "out of memory: ...", naming the
// request and what is held, when the operating system has no more. Free with the same number. Callable from
// any thread.
void* allocate_memory(int64_t bytes);
void free_memory(void* pointer, int64_t bytes);

MemoryStats memory_stats();
void reset_peak_memory();

// Returns cached blocks of 2 MiB and more to the operating system; smaller ones share pages, and stay.
void release_cached_memory();

}  // namespace galvan
