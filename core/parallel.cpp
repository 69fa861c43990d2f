#include "core/parallel.h"

#include <pthread.h>
#include <sched.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

#include "core/check.h"

namespace galvan {
namespace {

using Clock = std::chrono::steady_clock;

// How long an idle worker stays awake: first in a tight spin that sees new work within 0.1 us, then giving
// its processor to whoever wants it between two looks, then asleep.
constexpr auto kSpin = std::chrono::microseconds(50);
constexpr auto kAwake = std::chrono::milliseconds(2);
constexpr int kLooksPerClock = 32;

// True inside a task, and always in a worker.
thread_local bool inside_task = false;

int processors() {
  cpu_set_t set;
  const int count = sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 1;
  return count < 1 ? 1 : count > 1024 ? 1024 : count;
}

void pause() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#endif
}

// Looks until `done` holds: tightly for kSpin (not at all where threads outnumber processors, for then the
// one waited for may need ours), then yielding. False when `limit` has passed.
template <class Done>
bool wait_awake(bool spin, Clock::duration limit, const Done& done) {
  const auto start = Clock::now();
  for (;;) {
    for (int look = 0; look < kLooksPerClock; ++look) {
      if (done()) return true;
      pause();
    }
    const auto waited = Clock::now() - start;
    if (waited > limit) return false;
    if (!spin || waited > kSpin) sched_yield();
  }
}

// Moves the calling thread to another processor, any one but this. The scheduler tends to wake a worker where
// its caller runs and to leave it there while other processes keep the other processors busy at a lower
// priority; then two threads are no faster than one.
void leave_processor(int processor) {
  cpu_set_t allowed;
  if (sched_getaffinity(0, sizeof(allowed), &allowed) != 0) return;
  cpu_set_t others = allowed;
  CPU_CLR(processor, &others);
  if (CPU_COUNT(&others) == 0) return;
  sched_setaffinity(0, sizeof(others), &others);
  sched_setaffinity(0, sizeof(allowed), &allowed);
}

// A region is open while `region_` is odd. A worker that sees an open region enters by counting itself in
// `active_` and then looking again: the caller first closes the region and then waits for active_ to be 0, so
// either the worker sees the region closed and leaves, or the caller sees the worker and waits for it (both
// orders need sequential consistency). So a region never waits for a worker that has not woken yet: the
// caller does its tasks.
class Pool {
 public:
  Pool() : count_(processors()) {}

  int count() const { return count_.load(std::memory_order_relaxed); }

  void resize(int count) {
    std::lock_guard lock(mutex_);
    if (count == this->count()) return;
    join();
    count_.store(count, std::memory_order_relaxed);
  }

  // The workers end; a later region starts them again.
  void stop() {
    std::lock_guard lock(mutex_);
    join();
  }

  void run(int64_t tasks, FunctionRef<void(int64_t)> body) {
    std::unique_lock lock(mutex_, std::try_to_lock);
    if (!lock.owns_lock()) {  // another thread of the program is using the pool
      for (int64_t task = 0; task < tasks; ++task) body(task);
      return;
    }
    if (!started_) start();
    body_ = &body;
    share_out(tasks);
    caller_processor_ = sched_getcpu();
    region_.fetch_add(1);
    region_.notify_all();

    inside_task = true;
    work(0);
    inside_task = false;

    region_.fetch_add(1);
    wait_awake(spin_, Clock::duration::max(), [&] { return active_.load() == 0; });
    if (failed_.load(std::memory_order_relaxed)) {
      failed_.store(false, std::memory_order_relaxed);
      const std::exception_ptr error = std::move(error_);
      error_ = nullptr;
      std::rethrow_exception(error);
    }
  }

 private:
  // A thread's share of the tasks, on a cache line of its own.
  struct alignas(64) Share {
    std::atomic<int64_t> next{0};
    int64_t end = 0;
  };

  // Thread t gets the t-th part of 0..tasks, in every region alike: what it wrote for one op lies in its
  // cache when the next op reads it.
  void share_out(int64_t tasks) {
    const auto count = static_cast<int64_t>(shares_.size());
    for (int64_t t = 0, begin = 0; t < count; ++t) {
      const int64_t end = begin + tasks / count + (t < tasks % count ? 1 : 0);
      shares_[t].next.store(begin, std::memory_order_relaxed);
      shares_[t].end = end;
      begin = end;
    }
  }

  // Does the tasks of the open region that are the thread's own, then those that others have not begun. The
  // first exception ends the region early.
  void work(size_t thread) {
    for (size_t i = 0; i < shares_.size(); ++i) {
      Share& share = shares_[(thread + i) % shares_.size()];
      for (;;) {
        const int64_t task = share.next.fetch_add(1, std::memory_order_relaxed);
        if (task >= share.end) break;
        try {
          if (!failed_.load(std::memory_order_relaxed)) (*body_)(task);
        } catch (...) {
          if (!failed_.exchange(true)) error_ = std::current_exception();
        }
      }
    }
  }

  void worker(size_t thread) {
    inside_task = true;
    uint32_t done = 0;  // the region this worker has been through
    for (;;) {
      uint32_t region = 0;
      const auto new_region = [&] {
        region = region_.load();
        return (region % 2 == 1 && region != done) || stop_.load(std::memory_order_relaxed);
      };
      while (!wait_awake(spin_, kAwake, new_region)) region_.wait(region);
      if (stop_.load(std::memory_order_relaxed)) return;
      active_.fetch_add(1);
      const bool entered = region_.load() == region;
      const bool in_the_way = entered && spin_ && sched_getcpu() == caller_processor_;
      if (entered && !in_the_way) work(thread);
      active_.fetch_sub(1);
      if (in_the_way) {
        leave_processor(sched_getcpu());
      } else {
        done = region;
      }
    }
  }

  void start() {
    started_ = true;
    spin_ = count() <= processors();
    shares_ = std::vector<Share>(static_cast<size_t>(count()));
    try {
      while (static_cast<int>(workers_.size()) + 1 < count()) {
        workers_.emplace_back([this, thread = workers_.size() + 1] { worker(thread); });
      }
    } catch (const std::system_error&) {  // the system gives no more threads: go on with those there are
    }
  }

  void join() {
    stop_.store(true);
    region_.fetch_add(2);  // a new value, still closed: wakes the sleepers
    region_.notify_all();
    for (std::thread& worker : workers_) worker.join();
    workers_.clear();
    stop_.store(false);
    started_ = false;
  }

  std::mutex mutex_;  // held by the caller of a region, and while workers start and end
  std::atomic<int> count_;
  bool started_ = false;
  bool spin_ = true;
  std::vector<std::thread> workers_;
  std::atomic<bool> stop_{false};
  std::atomic<bool> failed_{false};
  std::exception_ptr error_;

  // What changes with every region, each on a cache line of its own.
  alignas(64) std::atomic<uint32_t> region_{0};
  const FunctionRef<void(int64_t)>* body_ = nullptr;
  std::vector<Share> shares_;  // one a thread, the caller's first
  int caller_processor_ = 0;
  alignas(64) std::atomic<int> active_{0};
};

// Never destroyed, so that destructors of statics may still compute; its workers end at exit. A forked child
// has none of its parent's threads and gets a pool of its own.
Pool*& pool_slot() {
  static Pool* pool = [] {
    std::atexit([] {
      if (!inside_task) pool_slot()->stop();  // exit() called by a task cannot wait for that task
    });
    pthread_atfork(nullptr, nullptr, [] {
      const int count = pool_slot()->count();
      pool_slot() = new Pool;
      pool_slot()->resize(count);
    });
    return new Pool;
  }();
  return pool;
}

}  // namespace

void set_threads(int count) {
  check(count >= 1 && count <= 1024, "set_threads: expected 1 to 1024 threads, got ", count);
  check(!inside_task, "set_threads: called inside a task of parallel_for");
  pool_slot()->resize(count);
}

int threads() { return pool_slot()->count(); }

void parallel_for(int64_t tasks, FunctionRef<void(int64_t task)> body) {
  Pool& pool = *pool_slot();
  if (tasks <= 1 || inside_task || pool.count() == 1) {
    for (int64_t task = 0; task < tasks; ++task) body(task);
  } else {
    pool.run(tasks, body);
  }
}

}  // namespace galvan
