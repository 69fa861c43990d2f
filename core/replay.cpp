#include "core/replay.h"

#ifdef GALVAN_CUDA
#include "core/cuda_backend.h"
#endif

namespace galvan {

#ifdef GALVAN_CUDA

struct Replay::Recording {
  cuda_backend::Graph graph;
};

void Replay::run(const std::function<void()>& body) {
  if (device_.is_cpu()) return body();
  if (!recording_) {
    const MemoryPool::Use guard(pool_);
    if (!record_ || !has_run_) {
      body();
      has_run_ = true;
      return;
    }
    recording_ = std::make_unique<Recording>(Recording{cuda_backend::record(device_, body)});
  }
  recording_->graph.launch();
}

std::vector<std::string> Replay::operations() const {
  return recording_ ? recording_->graph.operations() : std::vector<std::string>();
}

#else

struct Replay::Recording {};

void Replay::run(const std::function<void()>& body) { body(); }

std::vector<std::string> Replay::operations() const { return {}; }

#endif

Replay::Replay(Device device, bool record) : device_(device), record_(record), pool_(device) {}

Replay::~Replay() = default;

}  // namespace galvan
