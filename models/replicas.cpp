#include "models/replicas.h"

#include <utility>

#include "core/parallel.h"

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

void Replicas::run(const std::function<void()>& watch) {
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
