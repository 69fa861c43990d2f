// Several small models trained together: each, on the CPU to the last bit, as it would be alone.
//
//   Replicas replicas(kCpu);
//   for (Trainer* trainer : trainers)                       // all have begun
//     replicas.add([=] { return !trainer->advance(stop); });
//   replicas.run();
//
// On a card each has a thread of its own, and their steps are replayed as one graph of launches for all replicas
// (ReplayGroup, core/replay.h): equal to being alone up to rounding, since products in batches and some sums are computed in
// another order than single ones. Only replicas of equal sizes go together, others one after another.
//
// On the CPU a step of one replica is the work of one thread, within which nothing is cut further: no thread waits for
// another between two ops, nor at the end of a step. Since results do not depend on the number of threads, each
// replica's bits are those of training alone; replicas need not be alike.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>

#include "core/device.h"

namespace galvan {

class Replicas {
 public:
  // On a card there is room for `places` at a time whose matrix products are one (core/replica_memory.h).
  explicit Replicas(Device device, int64_t places = 32) : device_(device), places_(places) {}
  Replicas(const Replicas&) = delete;
  Replicas& operator=(const Replicas&) = delete;

  // `step` trains a replica on by a step, or as far as it sees fit, and tells whether there is more to do; it must not
  // throw. It is never called twice at a time, but by one thread now and by another then.
  void add(std::function<bool()> step);

  // Returns when none has more to do. Those that have waited longest come first. `watch` is called before each step, by
  // one thread at a time; it may add replicas, and must not throw either.
  void run(const std::function<void()>& watch = [] {});

 private:
  void run_on_card(const std::function<void()>& watch);
  bool is_spread() const;
  bool take_turn(const std::function<void()>& watch, bool spread);

  Device device_;
  int64_t places_;
  std::mutex mutex_;  // of what follows, and held while `watch` runs
  std::deque<std::function<bool()>> waiting_;
  int64_t under_way_ = 0;    // those that a thread is at
  bool regrouping_ = false;  // threads are to end what they are at
  std::condition_variable changed_;
};

}  // namespace galvan
