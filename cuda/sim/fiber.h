// A fiber: a function with a stack of its own, that can stop in the middle and be resumed. The simulator runs
// each thread of a CUDA block on one, because a barrier is nothing but such a stop.
#pragma once

#include <cstddef>

namespace galvan::sim {

class Fiber {
 public:
  // body(argument) runs on the first resume(). When it returns, the fiber must not be resumed again before
  // restart().
  Fiber(void (*body)(void*), void* argument);
  ~Fiber();
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  // Runs the fiber until it suspends or its body returns. Call from outside of any fiber.
  void resume();
  // Back to whoever resumed. Call from inside the fiber.
  void suspend();
  // Gives up whatever the body was doing, without destructors; the next resume() calls it anew.
  void restart();

  bool holds(const void* address) const {
    return address >= stack_ && address < static_cast<char*>(stack_) + kStackBytes;
  }

 private:
  static constexpr size_t kStackBytes = 256 << 10;

  void* mapping_;  // a page that may not be touched, then the stack
  void* stack_;
  void (*body_)(void*);
  void* argument_;
  void* inside_ = nullptr;   // where the fiber stopped
  void* outside_ = nullptr;  // where its resumer did
  // What AddressSanitizer must know to follow the switches.
  void* inside_fake_stack_ = nullptr;
  const void* outside_stack_ = nullptr;
  size_t outside_stack_bytes_ = 0;

  struct Entry;
  friend struct Entry;
};

}  // namespace galvan::sim
