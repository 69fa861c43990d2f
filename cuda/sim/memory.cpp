#include "cuda/sim/memory.h"

#include <sys/mman.h>

#include <cstdlib>
#include <cstring>
#include <deque>
#include <map>
#include <mutex>

#include "core/check.h"
#include "cuda/sim/source_line.h"
#include "cuda/sim/watch.h"

namespace galvan::sim {
namespace {

// Where somebody watches, freed memory is not given out again at once, so that its use is seen.
constexpr size_t kFreedBlocksKept = 256;

struct Held {
  size_t bytes;
  const void* code;
  bool freed = false;
};

struct Memory {
  std::mutex mutex;
  char* base;
  std::map<size_t, Held> blocks;  // by offset
  std::deque<size_t> freed;       // offsets, the oldest first
  std::map<void*, Held> pinned;
  size_t in_use = 0;

  Memory() {
    void* range = mmap(nullptr, kDeviceMemoryBytes, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    check(range != MAP_FAILED, "simulator: the system gives no addresses for the card's memory");
    base = static_cast<char*>(range);
  }
};

Memory& memory() {
  static Memory& the_memory = *new Memory;  // outlives whatever frees in its destructor
  return the_memory;
}

size_t rounded(size_t bytes) { return (bytes + kGapBytes - 1) / kGapBytes * kGapBytes; }

}  // namespace

void* allocate_device(size_t bytes, const void* code) {
  Memory& m = memory();
  const std::lock_guard lock(m.mutex);
  // The first gap that is wide enough.
  size_t offset = kGapBytes;
  for (const auto& [begin, held] : m.blocks) {
    if (offset + rounded(bytes) + kGapBytes <= begin) break;
    offset = begin + rounded(held.bytes) + kGapBytes;
  }
  if (bytes > kDeviceMemoryBytes || offset + rounded(bytes) + kGapBytes > kDeviceMemoryBytes) return nullptr;
  m.blocks[offset] = {bytes, code};
  m.in_use += bytes;
  std::memset(m.base + offset, 0xff, bytes);
  if (Watch* watch = watching()) watch->allocated(m.base + offset, bytes);
  return m.base + offset;
}

bool free_device(void* pointer) {
  Memory& m = memory();
  const std::lock_guard lock(m.mutex);
  const auto block = m.blocks.find(static_cast<size_t>(static_cast<char*>(pointer) - m.base));
  if (block == m.blocks.end() || block->second.freed) return false;
  const size_t bytes = block->second.bytes;
  m.in_use -= bytes;
  std::memset(pointer, 0xff, bytes);
  Watch* const watch = watching();
  if (!watch) {
    m.blocks.erase(block);
    return true;
  }
  watch->freed(pointer, bytes);
  block->second.freed = true;
  m.freed.push_back(block->first);
  if (m.freed.size() > kFreedBlocksKept) {
    m.blocks.erase(m.freed.front());
    m.freed.pop_front();
  }
  return true;
}

void* allocate_pinned(size_t bytes, const void* code) {
  void* const pointer = std::aligned_alloc(256, (bytes + 255) / 256 * 256);
  const std::lock_guard lock(memory().mutex);
  if (pointer) memory().pinned[pointer] = {bytes, code};
  return pointer;
}

void free_pinned(void* pointer) {
  const std::lock_guard lock(memory().mutex);
  memory().pinned.erase(pointer);
  std::free(pointer);
}

bool is_pinned(const void* address) {
  const std::lock_guard lock(memory().mutex);
  auto block = memory().pinned.upper_bound(const_cast<void*>(address));
  if (block == memory().pinned.begin()) return false;
  --block;
  return address < static_cast<char*>(block->first) + block->second.bytes;
}

std::string unfreed_memory() {
  const std::lock_guard lock(memory().mutex);
  std::string lines;
  const auto add = [&](const Held& held, const char* where) {
    lines += concat("simulator: ", held.bytes, " bytes of ", where, ", asked for at ", source_line(held.code),
                    ", have not been freed\n");
  };
  for (const auto& [offset, held] : memory().blocks)
    if (!held.freed) add(held, "the card's memory");
  for (const auto& [pointer, held] : memory().pinned) add(held, "pinned memory");
  return lines;
}

size_t device_bytes_in_use() {
  const std::lock_guard lock(memory().mutex);
  return memory().in_use;
}

void* device_memory() { return memory().base; }

bool is_device_address(const void* address) {
  const char* const base = memory().base;
  return address >= base && address < base + kDeviceMemoryBytes;
}

size_t device_offset(const void* address) {
  return static_cast<size_t>(static_cast<const char*>(address) - memory().base);
}

bool is_device_range(const void* address, size_t bytes, std::string* what) {
  if (!is_device_address(address)) {
    *what = "is not the card's memory";
    return false;
  }
  Memory& m = memory();
  const std::lock_guard lock(m.mutex);
  const size_t offset = device_offset(address);
  auto block = m.blocks.upper_bound(offset);
  if (block == m.blocks.begin()) {
    *what = "lies before every block of memory";
    return false;
  }
  --block;
  const size_t begin = block->first, size = block->second.bytes;
  if (block->second.freed && offset < begin + size) {
    *what = concat("lies in a block of ", size, " that has been freed");
    return false;
  }
  if (offset + bytes <= begin + size) return true;
  *what = offset >= begin + size
              ? concat("lies ", offset - begin - size, " bytes past the end of a block of ", size)
              : concat("reaches ", offset + bytes - begin - size, " bytes past the end of a block of ", size);
  return false;
}

}  // namespace galvan::sim
