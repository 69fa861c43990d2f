// A sequence of kernels that a loop runs again and again, such as a training step: put together by the host once, and
// from then on replayed by the device alone.
//
//   Replay step(device);
//   for (...) step.run([&] { forward(); backward(); update(); });
//
// On the CPU, and with `record` false, every run calls the body. On a card the first run calls it, so that memory is
// there and algorithms are chosen; the second records what it puts on the stream as a CUDA graph (the body runs on
// the host, the kernels wait), and each run from then on, this one too, launches the graph. So the body must put the
// same kernels with the same arguments on the stream each time, must not wait for the device, and reads what changes
// (a step's number, its learning rate) from the device's memory.
//
// Memory that the body takes comes from a pool of its own, which nobody else is given while the Replay lives: a
// replayed kernel finds its tensors where they were. What the body leaves to be read later must have been made
// outside.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/allocator.h"

namespace galvan {

class Replay {
 public:
  explicit Replay(Device device, bool record = true);
  ~Replay();
  Replay(const Replay&) = delete;
  Replay& operator=(const Replay&) = delete;

  void run(const std::function<void()>& body);

  // The kernels of one replay by name, its copies and fills ("copy", "fill"); none before there is a recording, and
  // where nothing is recorded.
  std::vector<std::string> operations() const;

 private:
  struct Recording;

  Device device_;
  [[maybe_unused]] bool record_;
  [[maybe_unused]] bool has_run_ = false;
  MemoryPool pool_;
  std::unique_ptr<Recording> recording_;
};

}  // namespace galvan
