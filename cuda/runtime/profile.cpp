// What profiles ask of a card (core/cuda_backend.h).
#ifndef GALVAN_CUDA_SIM
#include <nvtx3/nvToolsExt.h>
#endif

#include <list>

#include "core/cuda_backend.h"
#include "cuda/runtime/stream.h"

namespace galvan::cuda_backend {

#ifdef GALVAN_CUDA_SIM
void push_range(const char*) {}
void pop_range() {}
#else
void push_range(const char* name) { nvtxRangePushA(name); }
void pop_range() { nvtxRangePop(); }
#endif

struct Marks::Parts {
  cudaStream_t stream;
  std::list<Event> events = {};
};

Marks::Marks(Device device) : parts_(new Parts{.stream = stream(device)}) {}
Marks::~Marks() = default;

void Marks::mark() { parts_->events.emplace_back().record(parts_->stream); }

std::vector<double> Marks::seconds() const {
  std::vector<double> seconds;
  if (!parts_->events.empty()) parts_->events.back().synchronize();
  for (const Event& event : parts_->events)
    seconds.push_back(1e-3 * static_cast<double>(event.since(parts_->events.front())));
  return seconds;
}

}  // namespace galvan::cuda_backend
