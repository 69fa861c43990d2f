#include "cuda/sim/timeline.h"

#include <algorithm>
#include <utility>

namespace galvan::sim {

void join(Clock& clock, const Clock& other) {
  clock.resize(std::max(clock.size(), other.size()));
  for (size_t s = 0; s < other.size(); ++s) clock[s] = std::max(clock[s], other[s]);
}
void join(Clock& clock, size_t stream, uint64_t position) {
  clock.resize(std::max(clock.size(), stream + 1));
  clock[stream] = std::max(clock[stream], position);
}

namespace {

// What goes wrong stays: see sticky_error.
void run(const Operation& operation, const Work& work) {
  if (!sticky_error.empty()) return;
  try {
    work(operation);
  } catch (const std::exception& problem) {
    sticky_error = problem.what();
  }
}

}  // namespace

void drain(cudaStream_t stream, uint64_t position) {
  while (stream->finished < position && !stream->queue.empty()) {
    const CUstream_st::Queued next = std::move(stream->queue.front());
    stream->queue.pop_front();
    run({.stream = stream->number, .position = ++stream->finished, .after = next.after}, next.work);
  }
}

cudaError_t append(cudaStream_t stream, cudaGraphNodeType type, Work work, const char* kernel) {
  if (!stream)
    return set(cudaErrorInvalidResourceHandle);  // the default stream would wait for all the others
  if (stream->capture) {
    stream->capture->nodes.push_back({type, kernel, std::move(work)});
  } else {
    join(stream->after, host_after);
    stream->queue.push_back({std::move(work), std::make_shared<Clock>(stream->after)});
    ++stream->appended;
  }
  return state();
}

cudaError_t drain_all() {
  for (const cudaStream_t stream : streams) {
    if (stream->capture) return set(cudaErrorStreamCaptureUnsupported);
    drain(stream, stream->appended);
  }
  return state();
}

void wait(cudaStream_t stream) {
  drain(stream, stream->appended);
  join(host_after, stream->after);
  join(host_after, stream->number, stream->appended);
}

void wait(cudaEvent_t event) {
  if (!event->stream) return;
  drain(event->stream, event->position);
  join(host_after, event->after);
}

namespace {

uint64_t host_copies = 0;

struct Late {
  uint64_t position;
  std::shared_ptr<const Clock> after;
  Work work;
};
std::vector<Late> late;

void arrive() {
  for (const Late& copy : std::exchange(late, {})) {
    run({.position = copy.position, .after = copy.after}, copy.work);
    join(host_after, 0, copy.position);
  }
}

}  // namespace

cudaError_t wait_for_all() {
  if (const cudaError_t error = drain_all(); error != cudaSuccess) return error;
  arrive();
  for (const cudaStream_t stream : streams) wait(stream);
  return cudaSuccess;
}

cudaError_t run_at_once(const Work& work) {
  if (const cudaError_t error = drain_all(); error != cudaSuccess) return error;
  arrive();
  run({.position = ++host_copies, .after = std::make_shared<Clock>(host_after)}, work);
  join(host_after, 0, host_copies);
  return state();
}

cudaError_t run_late(Work work) {
  if (const cudaError_t error = drain_all(); error != cudaSuccess) return error;
  late.push_back({++host_copies, std::make_shared<Clock>(host_after), std::move(work)});
  return state();
}

}  // namespace galvan::sim
