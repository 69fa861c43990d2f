#include "models/replicas.h"

#include <list>
#include <thread>
#include <utility>

#include "core/parallel.h"
#include "core/replay.h"

namespace galvan {

void Replicas::add(std::function<bool()> step) { waiting_.push_back(std::move(step)); }

// Fewer replicas than threads are better trained one after another, each by all threads.
bool Replicas::is_spread() const {
  return device_.is_cpu() && static_cast<int64_t>(waiting_.size()) + under_way_ >= threads();
}

// A step of the replica that has waited longest. False where this thread is to end, all others being about to: with
// `spread` that is when another way has become the better one.
bool Replicas::take_turn(const std::function<void()>& watch, bool spread) {
  std::function<bool()> step;
  {
    const std::lock_guard lock(mutex_);
    watch();
    regrouping_ |= is_spread() != spread || waiting_.empty();
    if (regrouping_) return false;
    step = std::move(waiting_.front());
    waiting_.pop_front();
    ++under_way_;
  }
  const bool more = step();
  const std::lock_guard lock(mutex_);
  --under_way_;
  if (more) waiting_.push_back(std::move(step));
  return true;
}

// A thread for each; those that have ended are joined when the next begins, or all have.
void Replicas::run_on_card(const std::function<void()>& watch) {
  ReplayGroup group(device_, places_);
  struct Worker {
    std::thread thread;
    bool has_ended = false;
  };
  std::list<Worker> workers;
  const auto train = [&](std::function<bool()> step, Worker& worker) {
    {
      const ReplayGroup::Member member(group);
      for (bool more = true; more;) {
        {
          const std::lock_guard lock(mutex_);
          watch();
        }
        changed_.notify_all();  // there may be more waiting
        more = step();
      }
      step = nullptr;  // what it holds of the card goes while its memory is in use
    }
    const std::lock_guard lock(mutex_);
    worker.has_ended = true;
    --under_way_;
    changed_.notify_all();
  };
  std::unique_lock lock(mutex_);
  while (!waiting_.empty() || under_way_ > 0) {
    workers.remove_if([](Worker& worker) {
      if (worker.has_ended) worker.thread.join();
      return worker.has_ended;
    });
    for (; !waiting_.empty(); waiting_.pop_front(), ++under_way_) {
      Worker& worker = workers.emplace_back();
      worker.thread = std::thread(train, std::move(waiting_.front()), std::ref(worker));
    }
    changed_.wait(lock);
  }
  lock.unlock();
  for (Worker& worker : workers) worker.thread.join();
}

void Replicas::run(const std::function<void()>& watch) {
  if (!device_.is_cpu()) return run_on_card(watch);
  for (bool more = true; more; more = !waiting_.empty()) {
    regrouping_ = false;
    const bool spread = is_spread();
    const auto take_turns = [&](int64_t) {
      while (take_turn(watch, spread)) {
      }
    };
    if (spread)
      parallel_for(threads(), take_turns);
    else
      take_turns(0);
  }
}

}  // namespace galvan
