// What a thread does on its device, op by op, told to whoever listens: `galvan profile` (apps/profile). Where nobody
// does, an op costs the reading of one pointer.
//
//   class Printer : public profile::Listener { ... };
//   Printer printer;
//   const profile::Listening listening(printer);
//   loss.backward();                            // printer hears of each op that this thread runs
#pragma once

#include <cstdint>

#include "core/device.h"

namespace galvan::profile {

// Everything is told in the order in which the host comes to it: on a card, what an op launches may run later.
class Listener {
 public:
  virtual ~Listener() = default;
  // What is told until it ends belongs to it; one may lie within another. `file` and `line` are where the op calls its
  // kernels.
  virtual void op_begins(const char* op, Device device, const char* file, int line) = 0;
  virtual void op_ends() = 0;
  // The elements of a tensor, so many bytes from `data` on, are given to a kernel; what it does with them is not known.
  // Told outside of ops too, where the host reads or writes.
  virtual void uses(const void* data, int64_t bytes) = 0;
  // A kernel computes so many floating-point operations; told of matrix products and attention alone.
  virtual void computes(double flops) = 0;
  // A kernel is put on a card's stream; "cublasLt" stands for what the library launches for a product.
  virtual void launches(const char* kernel) = 0;
  // Memory is asked of an allocator, out of its cache or not.
  virtual void allocates(int64_t bytes) = 0;
};

constinit inline thread_local Listener* t_listener = nullptr;

// For as long as it lives, this thread tells `listener`, and nobody else.
class Listening {
 public:
  explicit Listening(Listener& listener) : before_(t_listener) { t_listener = &listener; }
  ~Listening() { t_listener = before_; }
  Listening(const Listening&) = delete;
  Listening& operator=(const Listening&) = delete;

 private:
  Listener* before_;
};

// An op's kernels (core/dispatch.h).
class Op {
 public:
  Op(const char* op, Device device, const char* file, int line) : listener_(t_listener) {
    if (listener_) [[unlikely]]
      listener_->op_begins(op, device, file, line);
  }
  ~Op() {
    if (listener_) [[unlikely]]
      listener_->op_ends();
  }
  Op(const Op&) = delete;
  Op& operator=(const Op&) = delete;

 private:
  Listener* listener_;
};

inline void computes(double flops) {
  if (t_listener) [[unlikely]]
    t_listener->computes(flops);
}

// Null outside of a backward pass, in one the op whose backward runs, "" between two.
const char* backward_of();

}  // namespace galvan::profile
