// One thread pool for the whole process.
//
// parallel_for(tasks, body) calls body(0), ..., body(tasks - 1), each once, on the pool's threads, and
// returns when all are done. Which thread runs which task is not determined, so a body must write only what
// belongs to its task. A thread begins with the same part of the tasks in every region, so that what it wrote
// for one op is in its cache for the next; then it helps the others. How work is cut into tasks must depend on
// shapes alone, never on threads(): that is what makes results equal bit for bit for every number of threads.
//
// Workers spin between regions while a training step runs (a sleeping worker takes about 50 us to wake, as
// long as a whole layer of a tiny model) and sleep when nothing has come for a while. Called from inside a
// task, parallel_for runs its tasks in the calling thread. The first exception thrown by a task is rethrown
// by parallel_for.
#pragma once

#include <cstdint>
#include <memory>

namespace galvan {

// A reference to a callable: two words, no allocation. The callable must outlive the call it is passed to.
template <class Signature>
class FunctionRef;

template <class R, class... Args>
class FunctionRef<R(Args...)> {
 public:
  template <class F>
  FunctionRef(const F& f)  // NOLINT: implicit, so that a lambda can be passed as it is
      : object_(std::addressof(f)), call_([](const void* object, Args... args) -> R {
          return (*static_cast<const F*>(object))(args...);
        }) {}
  R operator()(Args... args) const { return call_(object_, args...); }

 private:
  const void* object_;
  R (*call_)(const void*, Args...);
};

// How many threads work in a parallel_for, the calling one counted: 1 or more. At first the number of
// processors this process may use. Throws Error when not in 1..1024. Not to be called inside a task.
void set_threads(int count);
int threads();

void parallel_for(int64_t tasks, FunctionRef<void(int64_t task)> body);

// The same over the pieces [begin, end) of 0..n, each `grain` long but the last. Runs inline when there is
// only one.
template <class F>
void parallel_ranges(int64_t n, int64_t grain, const F& body) {
  const int64_t tasks = (n + grain - 1) / grain;
  const auto piece = [&](int64_t task) {
    const int64_t begin = task * grain;
    body(begin, begin + grain < n ? begin + grain : n);
  };
  if (tasks == 1) {
    piece(0);
  } else if (tasks > 1) {
    parallel_for(tasks, piece);
  }
}

}  // namespace galvan
