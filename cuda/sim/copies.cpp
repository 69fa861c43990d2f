// The simulated card's memory, and copies and fills of it, which are checked like a kernel's accesses.
#include <cuda_runtime.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <vector>

#include "core/check.h"
#include "cuda/sim/memory.h"
#include "cuda/sim/timeline.h"
#include "cuda/sim/watch.h"

using namespace galvan::sim;

namespace {

void check_range(const char* what, const void* address, size_t bytes) {
  std::string where;
  if (is_device_address(address) && !is_device_range(address, bytes, &where))
    galvan::fail(what, " of ", bytes, " bytes: ", where);
}

void copy_bytes(Operation operation, void* to, const void* from, size_t bytes) {
  check_range("cudaMemcpy to the card", to, bytes);
  check_range("cudaMemcpy from the card", from, bytes);
  operation.name = "cudaMemcpy";
  if (watching()) watching()->copy(operation, to, from, bytes);
  std::memcpy(to, from, bytes);
}

// The pinned memory of a copy that is queued, for as long as it is.
struct PinnedUse {
  const char* begin;
  size_t bytes;
  // With a copy that was queued before: the stream's order holds, and the host has no part in it.
  bool is_shared;
};
std::shared_ptr<const PinnedUse> use_pinned(const void* memory, size_t bytes) {
  static std::vector<std::weak_ptr<const PinnedUse>> all;  // under the_lock
  std::erase_if(all, [](const auto& use) { return use.expired(); });
  const auto* const begin = static_cast<const char*>(memory);
  const bool is_shared = std::any_of(all.begin(), all.end(), [&](const auto& weak) {
    const auto use = weak.lock();
    return use && begin < use->begin + use->bytes && use->begin < begin + bytes;
  });
  const auto use = std::make_shared<const PinnedUse>(PinnedUse{begin, bytes, is_shared});
  all.push_back(use);
  return use;
}

// What the host's pinned memory was when a copy was asked for, and is when it happens.
void check_unchanged(const char* memory, const std::vector<char>& before) {
  const auto [now, then] = std::mismatch(memory, memory + before.size(), before.begin());
  if (then != before.end())
    galvan::fail("cudaMemcpy: byte ", then - before.begin(),
                 " of the pinned memory that it reads has been written since the copy was asked for");
}

void fill_bytes(Operation operation, void* to, int value, size_t bytes) {
  check_range("cudaMemset", to, bytes);
  operation.name = "cudaMemset";
  if (watching()) watching()->fill(operation, to, bytes);
  std::memset(to, value, bytes);
}

}  // namespace

cudaError_t cudaMalloc(void** pointer, size_t bytes) {
  *pointer = bytes == 0 ? nullptr : allocate_device(bytes, __builtin_return_address(0));
  return set(*pointer || bytes == 0 ? cudaSuccess : cudaErrorMemoryAllocation);
}
cudaError_t cudaFree(void* pointer) {
  if (!pointer) return cudaSuccess;
  cudaDeviceSynchronize();
  return set(free_device(pointer) ? cudaSuccess : cudaErrorInvalidValue);
}
cudaError_t cudaMallocHost(void** pointer, size_t bytes) {
  *pointer = allocate_pinned(bytes, __builtin_return_address(0));
  return set(*pointer ? cudaSuccess : cudaErrorMemoryAllocation);
}
cudaError_t cudaFreeHost(void* pointer) {
  free_pinned(pointer);
  return cudaSuccess;
}
// From and to pinned memory it happens as late as anything else, between the card and the host's other memory so that
// the host may go on with that at once: what it reads is taken now, what it writes is waited for.
cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind, cudaStream_t stream) {
  const std::lock_guard lock(the_lock);
  const auto copy = [=](const Operation& operation) { copy_bytes(operation, to, from, bytes); };
  if (!stream || stream->capture) return append(stream, cudaGraphNodeTypeMemcpy, copy);
  const void* const host = is_device_address(from) ? to : from;
  const auto use = watching() && is_pinned(host) ? use_pinned(host, bytes) : nullptr;
  const auto keeping = [=](const Operation& operation) { return copy(operation), void(use); };
  if (is_device_address(from)) {
    if (use && !use->is_shared) std::memset(to, 0xff, bytes);  // nothing to rely on meanwhile
    const cudaError_t error = append(stream, cudaGraphNodeTypeMemcpy, keeping);
    if (!is_device_address(to) && !is_pinned(to)) wait(stream);
    return error == cudaSuccess ? state() : error;
  }
  if (is_pinned(from) && (!use || use->is_shared)) return append(stream, cudaGraphNodeTypeMemcpy, keeping);
  const char* const begin = static_cast<const char*>(from);
  const auto taken = std::make_shared<const std::vector<char>>(begin, begin + bytes);
  return append(stream, cudaGraphNodeTypeMemcpy, [=](const Operation& operation) {
    if (use) check_unchanged(begin, *taken);
    copy_bytes(operation, to, taken->data(), bytes);
  });
}
// Of little memory that is not pinned, what the call waits for is that it has been read ("API synchronization behavior",
// CUDA Runtime API): it gets to the card as late as anything may that nobody waits for.
cudaError_t cudaMemcpy(void* to, const void* from, size_t bytes, cudaMemcpyKind) {
  constexpr size_t kLittle = 64 << 10;
  const std::lock_guard lock(the_lock);
  if (is_device_address(to) && !is_device_address(from) && !is_pinned(from) && bytes <= kLittle) {
    const char* const begin = static_cast<const char*>(from);
    return run_late([=, taken = std::vector<char>(begin, begin + bytes)](const Operation& operation) {
      copy_bytes(operation, to, taken.data(), bytes);
    });
  }
  return run_at_once([=](const Operation& operation) { copy_bytes(operation, to, from, bytes); });
}
cudaError_t cudaMemsetAsync(void* to, int value, size_t bytes, cudaStream_t stream) {
  const std::lock_guard lock(the_lock);
  return append(stream, cudaGraphNodeTypeMemset,
                [=](const Operation& operation) { fill_bytes(operation, to, value, bytes); });
}
cudaError_t cudaMemset(void* to, int value, size_t bytes) {
  const std::lock_guard lock(the_lock);
  return run_at_once([=](const Operation& operation) { fill_bytes(operation, to, value, bytes); });
}
