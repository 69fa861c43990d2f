// Memory for tensors, of each device: a cache that never gives back what it may need again.
//
// A block that is freed goes to a list of blocks of its size, and the next request of that size takes the one
// freed last (on the CPU the one still in the processor's cache). A training step asks for the same sizes in the
// same order every time, so after the first step it takes nothing from the system, touches no new page, and finds
// each tensor at the address it had before.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "core/device.h"

namespace galvan {

struct MemoryStats {
  int64_t bytes_in_use = 0;        // handed out
  int64_t peak_bytes_in_use = 0;   // the most ever handed out
  int64_t bytes_reserved = 0;      // taken from the system: the operating system, or the card's driver
  int64_t system_allocations = 0;  // how often something was taken from it
};

// Where a cache takes its memory from.
struct MemorySource {
  void* (*take)(int64_t bytes);  // null when there is no more
  void (*give_back)(void* block, int64_t bytes);
  int64_t (*left)();   // how much more there may be, for the message when there is not enough; null: unknown
  const char* where;   // "", " on cuda:0"
  int64_t alignment;   // of every block, and what sizes are rounded to; a power of two
  int64_t slab_bytes;  // small blocks are cut from a slab of so many; 0: each block is taken by itself
  bool poisoned = false;  // under the address sanitizer, what is not handed out is out of bounds
};

// Freed blocks by size.
using FreeBlocks = std::unordered_map<int64_t, std::vector<void*>>;

// Memory that stands in for a source and its cache while it is in use (core/replica_memory.h). The allocator calls it one
// call at a time.
class MemoryRegion {
 public:
  virtual ~MemoryRegion() = default;
  // A block, freed before or cut from what `source` gives; null when that has no more.
  virtual void* allocate(int64_t bytes, const std::function<void*(int64_t)>& source) = 0;
  // One of its blocks comes back, whether it is in use or not.
  virtual void free(void* block, int64_t bytes) = 0;
  virtual bool is_empty() const = 0;  // all have come back
  // The wholes that it has had of the source: address and size.
  virtual const std::map<char*, int64_t>& wholes() const = 0;
};

class CachingAllocator {
 public:
  explicit CachingAllocator(const MemorySource& source) : source_(source) {}
  CachingAllocator(const CachingAllocator&) = delete;
  CachingAllocator& operator=(const CachingAllocator&) = delete;

  // Throws Error "out of memory: ...", naming the request, what is held and what is left, when the source has no
  // more even after what is cached has gone back to it. Free with the same number. Callable from any thread.
  void* allocate(int64_t bytes);
  void free(void* block, int64_t bytes);

  MemoryStats stats();
  void reset_peak();
  // Returns cached blocks that were taken by themselves to the source; small ones share slabs, and stay.
  void release();

  // Blocks come from and go to `blocks` in place of the cache, until the next call; null: the cache again. Returns
  // what it was. For MemoryPool.
  FreeBlocks* use(FreeBlocks* blocks);
  // What is in `blocks` goes where it came from.
  void adopt(FreeBlocks& blocks);

  // Blocks come from `region`, until the next call; null: from the source again. Returns what it was.
  std::shared_ptr<MemoryRegion> use(std::shared_ptr<MemoryRegion> region);
  // No more is wanted of it: what it has goes back to the source as soon as it is empty.
  void retire(const std::shared_ptr<MemoryRegion>& region);

 private:
  int64_t rounded(int64_t bytes) const;
  void* take(int64_t bytes);
  void* carve(int64_t bytes);
  void release_locked();
  [[noreturn]] void out_of_memory(int64_t requested) const;
  void put_back(void* block, int64_t bytes);
  MemoryRegion* region_of(void* block);
  void give_back_if_empty(MemoryRegion* region);

  MemorySource source_;
  std::mutex mutex_;
  FreeBlocks cache_;
  FreeBlocks* pool_ = nullptr;  // in place of the cache
  std::shared_ptr<MemoryRegion> region_;
  std::map<MemoryRegion*, std::shared_ptr<MemoryRegion>> regions_;  // that have had anything of the source
  std::vector<MemoryRegion*> retired_;                              // of them
  char* slab_ = nullptr;
  int64_t slab_left_ = 0;
  MemoryStats stats_;
};

// The device's allocator. Throws Error "no backend for cuda:0 in this build" where there is none.
CachingAllocator& allocator_of(Device device);

// Memory that is set apart: what is freed while the pool is in use is given out again only while it is in use.
class MemoryPool {
 public:
  explicit MemoryPool(Device device) : device_(device) {}
  ~MemoryPool() {
    if (!blocks_.empty()) allocator_of(device_).adopt(blocks_);
  }
  MemoryPool(const MemoryPool&) = delete;
  MemoryPool& operator=(const MemoryPool&) = delete;

  // While one of these lives, the device's memory comes from the pool.
  class Use {
   public:
    explicit Use(MemoryPool& pool)
        : allocator_(allocator_of(pool.device_)), before_(allocator_.use(&pool.blocks_)) {}
    ~Use() { allocator_.use(before_); }
    Use(const Use&) = delete;
    Use& operator=(const Use&) = delete;

   private:
    CachingAllocator& allocator_;
    FreeBlocks* before_;
  };

 private:
  Device device_;
  FreeBlocks blocks_;
};

inline void* allocate_memory(int64_t bytes, Device device = kCpu) {
  return allocator_of(device).allocate(bytes);
}
inline void free_memory(void* block, int64_t bytes, Device device = kCpu) {
  allocator_of(device).free(block, bytes);
}
inline MemoryStats memory_stats(Device device = kCpu) { return allocator_of(device).stats(); }
inline void reset_peak_memory(Device device = kCpu) { allocator_of(device).reset_peak(); }
inline void release_cached_memory(Device device = kCpu) { allocator_of(device).release(); }

}  // namespace galvan
