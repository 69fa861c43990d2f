#include "cuda/runtime/recorder.h"

#include <utility>

#include "core/check.h"

namespace galvan {
namespace {

thread_local RecordedStep* recorded = nullptr;
thread_local bool as_replica = false;

}  // namespace

RecordedLaunch::RecordedLaunch(Enqueue enqueue, dim3 grid, dim3 block, size_t shared_bytes,
                               const void* arguments, size_t bytes)
    : grid(grid),
      block(block),
      shared_bytes(shared_bytes),
      enqueue_(enqueue),
      arguments_(static_cast<const std::byte*>(arguments), static_cast<const std::byte*>(arguments) + bytes) {
}

bool RecordedLaunch::matches(const RecordedOperation& other) const {
  const auto same = [](dim3 a, dim3 b) { return a.x == b.x && a.y == b.y && a.z == b.z; };
  const auto* launch = dynamic_cast<const RecordedLaunch*>(&other);
  return launch && launch->enqueue_ == enqueue_ && same(launch->grid, grid) && same(launch->block, block) &&
         launch->shared_bytes == shared_bytes;
}

bool match(const RecordedStep& a, const RecordedStep& b) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i)
    if (!a[i]->matches(*b[i])) return false;
  return true;
}

void enqueue(std::span<const RecordedStep* const> replicas, cudaStream_t stream) {
  std::vector<const RecordedOperation*> operations(replicas.size());
  for (size_t i = 0; i < replicas[0]->size(); ++i) {
    for (size_t r = 0; r < replicas.size(); ++r) operations[r] = (*replicas[r])[i].get();
    operations[0]->enqueue(operations, stream);
  }
}

Recorder::Recorder(RecordedStep& step) : before_(std::exchange(recorded, &step)) {}
Recorder::~Recorder() { recorded = before_; }
RecordedStep* Recorder::current() { return recorded; }

AsReplica::AsReplica() : before_(std::exchange(as_replica, true)) {}
AsReplica::~AsReplica() { as_replica = before_; }
bool AsReplica::current() { return as_replica; }

}  // namespace galvan
