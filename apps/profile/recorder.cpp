#include "apps/profile/recorder.h"

#include <algorithm>
#include <utility>

#include "core/check.h"

namespace galvan {
namespace {

// "ops/linear.cpp" of any path to it.
std::string last_parts(const std::string& path) {
  const size_t name = path.rfind('/');
  if (name == std::string::npos || name == 0) return path;
  const size_t folder = path.rfind('/', name - 1);
  return folder == std::string::npos ? path : path.substr(folder + 1);
}

}  // namespace

Recorder::Recorder([[maybe_unused]] Device device) : start_(Clock::now()) {
#ifdef GALVAN_CUDA
  if (!device.is_cpu()) marks_ = std::make_unique<cuda_backend::Marks>(device);
#endif
}

void Recorder::op_begins(const char* op, Device, const char* file, int line) {
  if (depth_++ > 0) return;
  const char* const backward_of = profile::backward_of();
  next_.op = backward_of && *backward_of ? backward_of : op;
  next_.kernels = concat(op, " ", last_parts(file), ":", line);
  next_.backward = backward_of != nullptr;
#ifdef GALVAN_CUDA
  if (marks_) {
    cuda_backend::push_range(concat(next_.op, next_.backward ? " backward" : "").c_str());
    marks_->mark();
  }
#endif
  next_.begin = now();
}

void Recorder::op_ends() {
  if (--depth_ > 0) return;
  next_.end = now();
#ifdef GALVAN_CUDA
  if (marks_) {
    marks_->mark();
    cuda_backend::pop_range();
  }
#endif
  for (const auto& [data, bytes] : used_) next_.bytes += bytes;
  used_.clear();
  ops_.push_back(std::exchange(next_, {}));
}

void Recorder::uses(const void* data, int64_t bytes) {
  if (depth_ == 0) return;  // not a kernel's
  int64_t& known = used_[data];
  known = std::max(known, bytes);
}

void Recorder::computes(double flops) {
  if (depth_ > 0) next_.flops += flops;
}

void Recorder::launches(const char* kernel) { next_.launches.emplace_back(kernel); }

void Recorder::allocates(int64_t bytes) {
  ++next_.allocations;
  next_.allocated_bytes += bytes;
}

StepRun Recorder::take() {
  StepRun step{.ops = std::exchange(ops_, {}), .seconds = now()};
#ifdef GALVAN_CUDA
  if (marks_) {
    const std::vector<double> seconds = marks_->seconds();
    for (size_t i = 0; i < step.ops.size(); ++i)
      step.ops[i].begin = seconds[2 * i], step.ops[i].end = seconds[2 * i + 1];
  }
#endif
  return step;
}

}  // namespace galvan
