#include "core/allocator.h"

#include <sys/mman.h>

#include <algorithm>
#include <bit>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "core/check.h"

// Under the address sanitizer a cached block is out of bounds until it is handed out, and so is its
// rounded-up end.
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define __SANITIZE_ADDRESS__ 1  // clang says it this way
#endif
#endif
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(address, bytes)
#define ASAN_UNPOISON_MEMORY_REGION(address, bytes)
#endif

namespace galvan {
namespace {

constexpr int64_t kAlignment = 64;
constexpr int64_t kHugePage = int64_t{2} << 20;

// Sizes are rounded so that a request fits a cached block of a nearby size: up to eight sizes for each power
// of two.
int64_t rounded(int64_t bytes) {
  const int64_t power =
      static_cast<int64_t>(std::bit_floor(static_cast<uint64_t>(std::max(bytes, kAlignment))));
  const int64_t step = std::max(kAlignment, power / 8);
  return std::max(kAlignment, (bytes + step - 1) / step * step);
}

class Cache {
 public:
  void* take(int64_t requested) {
    const int64_t bytes = rounded(requested);
    std::lock_guard lock(mutex_);
    stats_.bytes_in_use += bytes;
    stats_.peak_bytes_in_use = std::max(stats_.peak_bytes_in_use, stats_.bytes_in_use);
    std::vector<void*>& blocks = free_[bytes];
    if (!blocks.empty()) {
      void* block = blocks.back();
      blocks.pop_back();
      ASAN_UNPOISON_MEMORY_REGION(block, requested);
      return block;
    }
    void* block = bytes >= kHugePage ? map(bytes) : carve(bytes);
    if (!block) {
      stats_.bytes_in_use -= bytes;
      fail("out of memory: ", requested, " bytes were asked for, ", stats_.bytes_in_use, " are in use");
    }
    ASAN_POISON_MEMORY_REGION(block, bytes);
    ASAN_UNPOISON_MEMORY_REGION(block, requested);
    return block;
  }

  void give_back(void* block, int64_t requested) {
    const int64_t bytes = rounded(requested);
    std::lock_guard lock(mutex_);
    stats_.bytes_in_use -= bytes;
    ASAN_POISON_MEMORY_REGION(block, bytes);
    free_[bytes].push_back(block);
  }

  MemoryStats stats() {
    std::lock_guard lock(mutex_);
    return stats_;
  }

  void reset_peak() {
    std::lock_guard lock(mutex_);
    stats_.peak_bytes_in_use = stats_.bytes_in_use;
  }

  // Only blocks that were mapped by themselves can go back; small ones share a slab.
  void release() {
    std::lock_guard lock(mutex_);
    for (auto& [bytes, blocks] : free_) {
      if (bytes < kHugePage) continue;
      for (void* block : blocks) {
        ASAN_UNPOISON_MEMORY_REGION(block, bytes);
        munmap(block, static_cast<size_t>(bytes));
      }
      stats_.bytes_reserved -= bytes * static_cast<int64_t>(blocks.size());
      blocks.clear();
    }
  }

 private:
  void* map(int64_t bytes) {
    void* block =
        mmap(nullptr, static_cast<size_t>(bytes), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (block == MAP_FAILED) return nullptr;
    madvise(block, static_cast<size_t>(bytes), MADV_HUGEPAGE);
    stats_.bytes_reserved += bytes;
    ++stats_.system_allocations;
    return block;
  }

  // A small block is cut from a slab of one huge page.
  void* carve(int64_t bytes) {
    if (slab_left_ < bytes) {
      char* slab = static_cast<char*>(map(kHugePage));
      if (!slab) return nullptr;
      slab_ = slab;
      slab_left_ = kHugePage;
    }
    void* block = slab_;
    slab_ += bytes;
    slab_left_ -= bytes;
    return block;
  }

  std::mutex mutex_;
  std::unordered_map<int64_t, std::vector<void*>> free_;
  char* slab_ = nullptr;
  int64_t slab_left_ = 0;
  MemoryStats stats_;
};

// Never destroyed: tensors with static lifetime may be freed after it would have been.
Cache& cache() {
  static Cache* instance = new Cache;
  return *instance;
}

}  // namespace

void* allocate_memory(int64_t bytes) { return cache().take(bytes); }
void free_memory(void* pointer, int64_t bytes) { cache().give_back(pointer, bytes); }
MemoryStats memory_stats() { return cache().stats(); }
void reset_peak_memory() { cache().reset_peak(); }
void release_cached_memory() { cache().release(); }

}  // namespace galvan
