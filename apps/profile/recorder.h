// What one step consists of, as a listener hears it (core/profile.h).
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/profile.h"
#ifdef GALVAN_CUDA
#include "core/cuda_backend.h"
#endif

namespace galvan {

// One op's kernels, run once.
struct OpRun {
  std::string op;  // in a backward pass the op whose gradient it is
  std::string kernels =
      {};  // the row of kOpTypes that they are of, often the op itself, and where it calls them
  bool backward = false;
  double begin = 0,
         end = 0;     // seconds since the step began; on a card since its first op, by the card's clock
  int64_t bytes = 0;  // of the tensors that the kernels were given, each counted once
  double flops = 0;   // 0: bandwidth is what counts
  // Since the op before, so that its output is among them.
  int64_t allocations = 0, allocated_bytes = 0;
  std::vector<std::string> launches = {};  // on a card: the kernels, in their order
};

struct StepRun {
  std::vector<OpRun> ops = {};
  double seconds = 0;
};

class Recorder : public profile::Listener {
 public:
  // On a card each op is a range for NVIDIA's tools, too, which show them.
  explicit Recorder(Device device);

  void op_begins(const char* op, Device device, const char* file, int line) override;
  void op_ends() override;
  void uses(const void* data, int64_t bytes) override;
  void computes(double flops) override;
  void launches(const char* kernel) override;
  void allocates(int64_t bytes) override;

  // What was heard since the recorder was made, and its time by the host's clock; waits for a card.
  StepRun take();

 private:
  using Clock = std::chrono::steady_clock;
  double now() const { return std::chrono::duration<double>(Clock::now() - start_).count(); }

  Clock::time_point start_;
  std::vector<OpRun> ops_;
  int depth_ = 0;    // of ops within one another; the outermost has everything
  OpRun next_ = {};  // what was heard since the op before, or of the op that runs
  std::unordered_map<const void*, int64_t> used_;  // by that op
#ifdef GALVAN_CUDA
  std::unique_ptr<cuda_backend::Marks> marks_;  // where each op begins and ends, on a card
#endif
};

}  // namespace galvan
