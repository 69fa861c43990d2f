#include "cuda/runtime/recorder.h"

#include <utility>

#include "core/check.h"

namespace galvan {
namespace {

thread_local RecordedStep* recorded = nullptr;

}  // namespace

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

}  // namespace galvan
