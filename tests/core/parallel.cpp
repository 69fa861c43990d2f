#include "core/parallel.h"

#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <set>
#include <stdexcept>
#include <thread>
#include <vector>

#include "core/check.h"

using namespace galvan;

namespace {

// Restores the number of threads when a test ends.
struct Threads {
  explicit Threads(int count) { set_threads(count); }
  ~Threads() { set_threads(before); }
  int before = threads();
};

}  // namespace

TEST_CASE("parallel_for runs every task once") {
  for (const int count : {1, 2, 3, 8}) {
    const Threads scope(count);
    CHECK(threads() == count);
    for (const int64_t tasks : {0, 1, 2, 31, 1000}) {
      std::vector<int> runs(tasks, 0);
      for (int repeat = 0; repeat < 20; ++repeat) parallel_for(tasks, [&](int64_t task) { ++runs[task]; });
      for (const int run : runs) CHECK(run == 20);
    }
  }
}

TEST_CASE("parallel_for uses the workers, also after they have slept") {
  const Threads scope(2);
  for (int repeat = 0; repeat < 2; ++repeat) {
    std::atomic<int> arrived{0};
    // Both tasks wait for each other: this ends only if two threads work.
    parallel_for(2, [&](int64_t) {
      ++arrived;
      while (arrived.load() < 2) std::this_thread::yield();
    });
    CHECK(arrived == 2);
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
}

TEST_CASE("parallel_ranges covers 0..n in pieces of the grain") {
  const Threads scope(2);
  for (const int64_t n : {0, 1, 31, 32, 33, 1025}) {
    std::vector<int> seen(n, 0);
    std::atomic<int> pieces{0};
    parallel_ranges(n, 32, [&](int64_t begin, int64_t end) {
      ++pieces;
      CHECK(begin % 32 == 0);
      CHECK(end - begin <= 32);
      for (int64_t i = begin; i < end; ++i) ++seen[i];
    });
    CHECK(pieces == (n + 31) / 32);
    for (const int count : seen) CHECK(count == 1);
  }
}

TEST_CASE("a nested parallel_for stays in its thread") {
  const Threads scope(2);
  std::atomic<int> strayed{0};
  std::atomic<int> runs{0};
  parallel_for(8, [&](int64_t) {
    const auto outer = std::this_thread::get_id();
    parallel_for(5, [&](int64_t) {
      ++runs;
      if (std::this_thread::get_id() != outer) ++strayed;
    });
  });
  CHECK(runs == 40);
  CHECK(strayed == 0);
}

TEST_CASE("an exception reaches the caller and the pool works on") {
  for (const int count : {1, 2, 5}) {
    const Threads scope(count);
    for (int repeat = 0; repeat < 50; ++repeat) {
      const auto body = [](int64_t task) { check(task != 7, "task ", task, " fails"); };
      CHECK_THROWS_WITH_AS(parallel_for(16, body), "task 7 fails", Error);
      std::atomic<int> runs{0};
      parallel_for(16, [&](int64_t) { ++runs; });
      CHECK(runs == 16);
    }
  }
}

TEST_CASE("several threads of the program may use the pool at once") {
  const Threads scope(3);
  std::atomic<int64_t> sum{0};
  std::vector<std::thread> users;
  for (int user = 0; user < 3; ++user) {
    users.emplace_back([&] {
      for (int repeat = 0; repeat < 200; ++repeat) parallel_for(10, [&](int64_t task) { sum += task; });
    });
  }
  for (std::thread& user : users) user.join();
  CHECK(sum == 3 * 200 * 45);
}

#ifndef __SANITIZE_THREAD__  // which does not let a forked child start threads
TEST_CASE("a forked child has a pool that works") {
  const Threads scope(2);
  parallel_for(2, [](int64_t) {});
  const pid_t child = fork();
  if (child == 0) {
    std::atomic<int> runs{0};
    for (int repeat = 0; repeat < 100; ++repeat) parallel_for(4, [&](int64_t) { ++runs; });
    _exit(runs == 400 && threads() == 2 ? 0 : 1);
  }
  int status = -1;
  REQUIRE(waitpid(child, &status, 0) == child);
  CHECK(status == 0);
}
#endif

TEST_CASE("set_threads says what it wants") {
  CHECK_THROWS_WITH_AS(set_threads(0), "set_threads: expected 1 to 1024 threads, got 0", Error);
  CHECK_THROWS_WITH_AS(set_threads(1025), "set_threads: expected 1 to 1024 threads, got 1025", Error);
  const Threads scope(2);
  CHECK_THROWS_WITH_AS(parallel_for(2, [](int64_t) { set_threads(3); }),
                       "set_threads: called inside a task of parallel_for", Error);
}
