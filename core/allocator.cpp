#include "core/allocator.h"

#include <sys/mman.h>

#include <algorithm>
#include <bit>
#include <utility>

#include "core/check.h"
#include "core/profile.h"
#ifdef GALVAN_CUDA
#include "core/cuda_backend.h"
#endif

// Under the address sanitizer a cached block is out of bounds until it is handed out, and so is its
// rounded-up end.
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define __SANITIZE_ADDRESS__ 1  // clang says it this way
#endif
#endif
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#endif

namespace galvan {
namespace {

void put_out_of_bounds([[maybe_unused]] const MemorySource& source, [[maybe_unused]] void* block,
                       [[maybe_unused]] int64_t bytes) {
#ifdef __SANITIZE_ADDRESS__
  if (source.poisoned) ASAN_POISON_MEMORY_REGION(block, bytes);
#endif
}

void put_in_bounds([[maybe_unused]] const MemorySource& source, [[maybe_unused]] void* block,
                   [[maybe_unused]] int64_t bytes) {
#ifdef __SANITIZE_ADDRESS__
  if (source.poisoned) ASAN_UNPOISON_MEMORY_REGION(block, bytes);
#endif
}

}  // namespace

// Sizes are rounded so that a request fits a cached block of a nearby size: up to eight sizes for each power
// of two.
int64_t CachingAllocator::rounded(int64_t bytes) const {
  const int64_t least = source_.alignment;
  const int64_t power = static_cast<int64_t>(std::bit_floor(static_cast<uint64_t>(std::max(bytes, least))));
  const int64_t step = std::max(least, power / 8);
  return std::max(least, (bytes + step - 1) / step * step);
}

void* CachingAllocator::allocate(int64_t requested) {
  const int64_t bytes = rounded(requested);
  if (profile::t_listener) [[unlikely]]
    profile::t_listener->allocates(bytes);
  const std::lock_guard lock(mutex_);
  void* block = nullptr;
  std::vector<void*>* const freed = pool_ ? &(*pool_)[bytes] : region_ ? nullptr : &cache_[bytes];
  if (freed && !freed->empty()) {
    block = freed->back();
    freed->pop_back();
  } else {
    if (region_) {
      regions_.emplace(region_.get(), region_);
      block = region_->allocate(bytes, [this](int64_t whole) { return take(whole); });
    } else {
      block = bytes < source_.slab_bytes ? carve(bytes) : take(bytes);
    }
    if (!block) out_of_memory(requested);
    put_out_of_bounds(source_, block, bytes);
  }
  stats_.bytes_in_use += bytes;
  stats_.peak_bytes_in_use = std::max(stats_.peak_bytes_in_use, stats_.bytes_in_use);
  put_in_bounds(source_, block, requested);
  return block;
}

void CachingAllocator::free(void* block, int64_t requested) {
  const int64_t bytes = rounded(requested);
  const std::lock_guard lock(mutex_);
  stats_.bytes_in_use -= bytes;
  put_out_of_bounds(source_, block, bytes);
  if (pool_) {
    (*pool_)[bytes].push_back(block);
  } else {
    put_back(block, bytes);
  }
}

// Where it came from.
void CachingAllocator::put_back(void* block, int64_t bytes) {
  MemoryRegion* const region = region_of(block);
  if (!region) return cache_[bytes].push_back(block);
  region->free(block, bytes);
  give_back_if_empty(region);
}

MemoryRegion* CachingAllocator::region_of(void* block) {
  char* const at = static_cast<char*>(block);
  for (const auto& [region, owner] : regions_) {
    auto whole = region->wholes().upper_bound(at);
    if (whole == region->wholes().begin()) continue;
    --whole;
    if (at < whole->first + whole->second) return region;
  }
  return nullptr;
}

std::shared_ptr<MemoryRegion> CachingAllocator::use(std::shared_ptr<MemoryRegion> region) {
  const std::lock_guard lock(mutex_);
  return std::exchange(region_, std::move(region));
}

void CachingAllocator::retire(const std::shared_ptr<MemoryRegion>& region) {
  const std::lock_guard lock(mutex_);
  if (!regions_.contains(region.get())) return;
  retired_.push_back(region.get());
  give_back_if_empty(region.get());
}

void CachingAllocator::give_back_if_empty(MemoryRegion* region) {
  const auto retired = std::find(retired_.begin(), retired_.end(), region);
  if (retired == retired_.end() || !region->is_empty()) return;
  for (const auto& [whole, bytes] : region->wholes()) {
    put_in_bounds(source_, whole, bytes);
    source_.give_back(whole, bytes);
    stats_.bytes_reserved -= bytes;
  }
  retired_.erase(retired);
  regions_.erase(region);
}

MemoryStats CachingAllocator::stats() {
  const std::lock_guard lock(mutex_);
  return stats_;
}

void CachingAllocator::reset_peak() {
  const std::lock_guard lock(mutex_);
  stats_.peak_bytes_in_use = stats_.bytes_in_use;
}

void CachingAllocator::release() {
  const std::lock_guard lock(mutex_);
  release_locked();
}

FreeBlocks* CachingAllocator::use(FreeBlocks* blocks) {
  const std::lock_guard lock(mutex_);
  return std::exchange(pool_, blocks);
}

void CachingAllocator::adopt(FreeBlocks& blocks) {
  const std::lock_guard lock(mutex_);
  for (auto& [bytes, list] : blocks)
    for (void* block : list) put_back(block, bytes);
  blocks.clear();
}

void CachingAllocator::release_locked() {
  for (auto& [bytes, blocks] : cache_) {
    if (bytes < source_.slab_bytes) continue;
    for (void* block : blocks) {
      put_in_bounds(source_, block, bytes);
      source_.give_back(block, bytes);
    }
    stats_.bytes_reserved -= bytes * static_cast<int64_t>(blocks.size());
    blocks.clear();
  }
}

// Where the source has no more, what is cached in other sizes may be what is missing.
void* CachingAllocator::take(int64_t bytes) {
  void* block = source_.take(bytes);
  if (!block) {
    release_locked();
    block = source_.take(bytes);
    if (!block) return nullptr;
  }
  stats_.bytes_reserved += bytes;
  ++stats_.system_allocations;
  return block;
}

void* CachingAllocator::carve(int64_t bytes) {
  if (slab_left_ < bytes) {
    char* slab = static_cast<char*>(take(source_.slab_bytes));
    if (!slab) return nullptr;
    slab_ = slab;
    slab_left_ = source_.slab_bytes;
  }
  void* block = slab_;
  slab_ += bytes;
  slab_left_ -= bytes;
  return block;
}

void CachingAllocator::out_of_memory(int64_t requested) const {
  const std::string left =
      source_.left ? concat(", at most ", source_.left(), " more would fit") : std::string();
  fail("out of memory", source_.where, ": ", requested, " bytes were asked for, ", stats_.bytes_in_use,
       " are in use", left);
}

namespace {

constexpr int64_t kHugePage = int64_t{2} << 20;

void* map_pages(int64_t bytes) {
  void* block =
      mmap(nullptr, static_cast<size_t>(bytes), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (block == MAP_FAILED) return nullptr;
  madvise(block, static_cast<size_t>(bytes), MADV_HUGEPAGE);
  return block;
}

void unmap_pages(void* block, int64_t bytes) { munmap(block, static_cast<size_t>(bytes)); }

// Never destroyed: tensors with static lifetime may be freed after it would have been.
CachingAllocator& host_allocator() {
  static CachingAllocator* instance = new CachingAllocator({.take = map_pages,
                                                            .give_back = unmap_pages,
                                                            .left = nullptr,
                                                            .where = "",
                                                            .alignment = 64,
                                                            .slab_bytes = kHugePage,
                                                            .poisoned = true});
  return *instance;
}

}  // namespace

CachingAllocator& allocator_of(Device device) {
  if (device.is_cpu()) return host_allocator();
#ifdef GALVAN_CUDA
  return cuda_backend::allocator(device);
#else
  fail("no backend for ", device, " in this build");
#endif
}

}  // namespace galvan
