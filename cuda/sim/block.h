// One block of CUDA threads, run on one thread of the host.
//
// The threads of a block are fibers that take turns: each runs until it meets a barrier, a warp operation or
// its end. A thread that meets none needs no fiber of its own: the fiber that finished one thread starts the
// next, so that a kernel without barriers is a plain loop.
//
// What a kernel does wrong ends the launch with a KernelError, which names kernel, block, thread and line.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/check.h"
#include "core/parallel.h"
#include "cuda/sim/fiber.h"
#include "cuda/sim/place.h"
#include "cuda/sim/vector_types.h"

namespace galvan::sim {

class Watch;

class KernelError : public Error {
  using Error::Error;
};

// In which order the threads of a block take turns. Results must not depend on it.
struct ThreadOrder {
  enum Kind { forward, reverse, shuffled } kind = forward;
  uint64_t seed = 0;  // of a shuffle
};
void set_thread_order(ThreadOrder order);
// 0, 1, ..., n - 1 in that order.
std::vector<int> turns(int n);

inline constexpr int kWarpSize = 32;

// "(x,y,z)" of number `linear` among `size`, x running fastest.
std::string coordinates(uint64_t linear, dim3 size);

struct Launch {
  const char* kernel;  // its name, for messages
  dim3 grid, block;
  size_t dynamic_shared_bytes;
  Watch* watch = nullptr;  // who sees its accesses to memory
};

enum class Barrier { plain, count, all, any };

// Sees what every lane of a warp operation has brought, lanes[l] null where l takes no part, and writes the
// results there.
using Resolve = void (*)(void* const* lanes);

class Block {
 public:
  Block();
  ~Block();

  // Runs every thread of block `index` of the grid; body() is the kernel with its arguments.
  void run(const Launch& launch, uint3 index, FunctionRef<void()> body);

  // The block that the calling host thread is inside of; null outside of a kernel.
  static Block* current();

  // --- what the device language is made of; each is called from inside a thread ---
  // Waits until every thread of the block is at this same place; what it returns is __syncthreads_*'s.
  int barrier(Barrier kind, int predicate, const Place& where);
  void warp_barrier(unsigned mask, const Place& where);
  // Waits until the lanes in `mask` are at this same place, then one of them calls resolve.
  void warp_operation(const char* name, unsigned mask, void* mine, Resolve resolve, const Place& where);
  // The block's memory for the __shared__ variable that `key` stands for.
  void* shared_variable(const void* key, size_t bytes, size_t alignment, const Place& where);
  void* dynamic_shared();
  // cp.async: the copy lands at the wait for its group, as late as the rules allow.
  void async_copy(void* to, const void* from, size_t bytes, size_t bytes_read);
  void async_commit();
  void async_wait(size_t groups_left, const Place& where);
  [[noreturn]] void error(const std::string& what, const Place& where);
  [[noreturn]] void error_at(const std::string& what, const std::string& place);

  int thread() const { return thread_; }  // linear, in the block
  int lane() const;                       // in its warp
  unsigned lanes_of_warp() const;         // which lanes the calling thread's warp has
  // How many barriers of the block, and __syncwarps of all its lanes since, the calling thread has passed: what
  // orders two accesses of threads of one block.
  uint32_t block_epoch() const { return block_epoch_; }
  // How often it has met other threads, at barriers and in warp operations.
  uint32_t meetings() const { return threads_[static_cast<size_t>(thread_)].meetings; }
  int threads() const { return count_; }
  uint32_t warp_epoch() const { return threads_[static_cast<size_t>(thread_)].warp_epoch; }
  // Whether the address is on the calling thread's stack, on one of the others', in the block's shared memory.
  bool owns_stack(const void* address) const {
    return threads_[static_cast<size_t>(thread_)].fiber->holds(address);
  }
  bool others_own_stack(const void* address) const;
  bool in_shared(const void* address) const {
    return address >= shared_.data() && address < shared_.data() + shared_.size();
  }

 private:
  struct AsyncCopy {
    void* to;
    const void* from;
    size_t bytes, bytes_read;
    const void* code;  // where it was asked for
  };
  enum class State : uint8_t { unstarted, ready, at_barrier, in_warp_operation, done };
  struct Thread {
    State state = State::unstarted;
    Fiber* fiber = nullptr;
    Place where;
    Barrier barrier = Barrier::plain;
    int value = 0;  // predicate, then result, of a barrier
    const char* operation = nullptr;
    unsigned mask = 0;
    void* mine = nullptr;
    uint32_t warp_epoch = 0, meetings = 0;
    std::vector<AsyncCopy> copies;
    std::vector<size_t> groups;  // for each committed group, how many of `copies` there are up to its end
  };
  struct SharedVariable {
    const void* key;
    size_t offset;
  };

  static void run_threads(void* block);
  int next_unstarted();
  void run_one(int thread);
  void step(int thread);
  void release_barrier();
  void enter(int thread);
  void suspend();
  void land(Thread& thread, size_t copies);
  std::string name_of(int thread) const;

  const Launch* launch_ = nullptr;
  uint3 index_{};
  const FunctionRef<void()>* body_ = nullptr;
  int count_ = 0, done_ = 0, waiting_ = 0;
  int thread_ = 0;
  uint32_t block_epoch_ = 0;
  std::vector<int> order_;
  size_t next_in_order_ = 0;
  std::vector<Thread> threads_;
  std::vector<std::unique_ptr<Fiber>> fibers_;
  std::vector<Fiber*> idle_fibers_;
  std::vector<SharedVariable> shared_variables_;
  size_t static_bytes_used_ = 0, static_shared_end_ = 0;
  std::vector<char> shared_;
  std::string error_;
};

// What a kernel may use of shared memory: without asking, and at most (an H100's).
inline constexpr size_t kStaticSharedLimit = 48 << 10;  // and of all, where launch() does not ask for more
inline constexpr size_t kSharedLimit = 227 << 10;
// While somebody watches: memory that belongs to nobody, in front of each shared variable and in all.
inline constexpr size_t kGuardBytes = 64, kMostGuards = 32 << 10;

}  // namespace galvan::sim
