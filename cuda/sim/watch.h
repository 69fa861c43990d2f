// Who sees what kernels, copies and fills do to memory. In the preset `simcheck` the compiler reports every
// access of a kernel, and cuda/sim/check.h watches; elsewhere nobody does.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "core/parallel.h"
#include "cuda/sim/vector_types.h"

namespace galvan::sim {

class Block;

// How many operations of each stream are over, by the stream's number; of streams past the end, none.
using Clock = std::vector<uint64_t>;

// What a stream does at one time: a launch, a copy, a fill.
struct Operation {
  const char* name = nullptr;
  dim3 grid{0, 0, 0}, block{0, 0, 0};  // of a launch
  size_t stream = 0;                   // its number; 0: the host's own copies
  uint64_t position = 0;               // on its stream; the first is 1
  // What has ended before this starts, however the streams run; all that its own stream did has, too.
  std::shared_ptr<const Clock> after = {};
};

enum class Access { read, write, atomic };

// Rows of `bytes` bytes, each `step` bytes after the one before.
struct Rows {
  const void* address;
  size_t bytes;
  size_t rows;
  size_t step;
};

class Watch {
 public:
  virtual ~Watch() = default;

  // Calls run_blocks() once or more: it runs every block of the launch, one after the other.
  virtual void launch(const Operation& operation, FunctionRef<void()> run_blocks) = 0;
  // Before a block's first thread runs: `dynamic` bytes at `shared` are its dynamic shared memory.
  virtual void begin_block(uint64_t index, const void* shared, size_t dynamic) = 0;
  virtual void shared_variable(const void* address, size_t bytes) = 0;

  // All threads of the block have come to a barrier; a warp's to a __syncwarp.
  virtual void barrier() = 0;
  virtual void warp_barrier() = 0;

  // Of the thread that has its turn, before it happens; `code` is where in the program.
  virtual void access(const void* address, size_t bytes, Access kind, const void* code) = 0;
  // What follows is one instruction's access to these bytes, however the compiler cuts it.
  virtual void one_access(const void* address, size_t bytes, const void* code) = 0;
  // The thread that has its turn draws a ticket (cuda/ptx.h).
  virtual void ticket(const unsigned* counter) = 0;
  // A copy by cp.async, when it is asked for and when it happens.
  virtual void async_copy_issued(const void* to, const void* from, size_t bytes, size_t bytes_read,
                                 const void* code) = 0;
  virtual void async_copy_lands(const void* to, size_t bytes, const void* code) = 0;

  // Of copies and fills, before they happen; any address may be the host's.
  virtual void copy(const Operation& operation, void* to, const void* from, size_t bytes) = 0;
  virtual void fill(const Operation& operation, void* to, size_t bytes) = 0;

  // Of a library's call, before it happens: what it reads and then writes of the card's memory.
  virtual void library_call(const Operation& operation, const std::vector<Rows>& reads,
                            const std::vector<Rows>& writes) = 0;

  virtual void allocated(void* pointer, size_t bytes) = 0;
  virtual void freed(void* pointer, size_t bytes) = 0;
};

inline Watch* watch = nullptr;
inline Watch* watching() { return watch; }

// Whether what runs on this host thread is a kernel's own code, and not the simulator that it has called; and
// where the kernel's parameters lie.
inline constinit thread_local bool in_kernel_code = false;
inline constinit thread_local const char* parameters_begin = nullptr;
inline constinit thread_local const char* parameters_end = nullptr;

// For as long as it lives, what runs is one thread of a kernel.
class KernelCode {
 public:
  KernelCode(const void* parameters, size_t bytes);
  ~KernelCode();
  KernelCode(const KernelCode&) = delete;
  KernelCode& operator=(const KernelCode&) = delete;
};

// For as long as it lives, what runs is the simulator.
class OutsideKernel {
 public:
  OutsideKernel() : before_(in_kernel_code) { in_kernel_code = false; }
  ~OutsideKernel() { in_kernel_code = before_; }
  OutsideKernel(const OutsideKernel&) = delete;
  OutsideKernel& operator=(const OutsideKernel&) = delete;

 private:
  bool before_;
};

// A library's call on the card's memory, before it happens. Throws KernelError for what is not the card's memory.
void call_library(const Operation& operation, const std::vector<Rows>& reads,
                  const std::vector<Rows>& writes);

// Before a kernel's accesses to `bytes` bytes that on a card are one instruction.
void one_access(const void* address, size_t bytes);
// A kernel's atomic operation on `bytes` bytes, before it happens.
void atomic_access(const void* address, size_t bytes);
// Likewise, of one that orders blocks: draw_ticket (cuda/ptx.h).
void ticket_access(const unsigned* counter);

}  // namespace galvan::sim
