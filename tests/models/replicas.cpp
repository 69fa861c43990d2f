#include "models/replicas.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <memory>
#include <thread>

#include "core/parallel.h"
#include "tests/models/small_run.h"
#include "tests/models/temporary_directory.h"

using namespace galvan;

namespace {

const std::atomic<bool> kGoOn = false;

// Runs that differ in everything that a replica may have of its own.
std::unique_ptr<SmallRun> make_run(const std::filesystem::path& folder, int64_t i, double lr_scale = 1) {
  const auto x = static_cast<double>(i);
  return std::make_unique<SmallRun>(folder / std::to_string(i),
                                    TrainerOptions{.steps = 9 + i,
                                                   .batch_size = 2,
                                                   .accumulate = 1 + i % 2,
                                                   .clip = i % 3 == 0 ? 0.0 : 0.5,
                                                   .eval_every = 3 + i,
                                                   .seed = static_cast<uint64_t>(5 + i)},
                                    lr_scale * 0.1 * (1 + x), 0.05 * x, 0.9 - 0.1 * x,
                                    static_cast<uint64_t>(1 + i));
}

// Trains them together, to their ends or their errors, which it returns: "" for none.
std::vector<std::string> train_together(const std::vector<std::unique_ptr<SmallRun>>& runs) {
  std::vector<std::string> errors(runs.size());
  Replicas replicas(kCpu);
  for (size_t i = 0; i < runs.size(); ++i) {
    runs[i]->trainer.begin(runs[i]->folder);
    replicas.add([&run = *runs[i], &error = errors[i]] {
      try {
        return !run.trainer.advance(kGoOn);
      } catch (const NonFiniteError& what) {
        error = what.what();
        return false;
      }
    });
  }
  replicas.run();
  return errors;
}

void check_equal(const SmallRun& a, const SmallRun& b) {
  CHECK(values_of(a.model.parameters()) == values_of(b.model.parameters()));
  CHECK(values_of(a.optimizer.state()) == values_of(b.optimizer.state()));
  CHECK(a.metrics() == b.metrics());
  CHECK(a.trainer.best_loss() == b.trainer.best_loss());
}

struct Threads {
  explicit Threads(int count) { set_threads(count); }
  ~Threads() { set_threads(before); }
  int before = threads();
};

}  // namespace

TEST_CASE("replicas trained together go exactly as each goes alone") {
  TemporaryDirectory directory;
  constexpr int64_t kMost = 5;
  std::vector<std::unique_ptr<SmallRun>> alone;
  for (int64_t i = 0; i < kMost; ++i) {
    alone.push_back(make_run(directory.path() / "alone", i));
    CHECK(alone.back()->trainer.run(alone.back()->folder, kGoOn) == Ending::finished);
  }
  for (const int count : {1, 2, 3, 4})  // threads: replicas are spread over them, or cut within, or both
    for (const int64_t replicas : {int64_t{2}, kMost}) {
      CAPTURE(count);
      const Threads guard(count);
      const auto folder = directory.path() / (std::to_string(count) + " " + std::to_string(replicas));
      std::vector<std::unique_ptr<SmallRun>> together;
      for (int64_t i = 0; i < replicas; ++i) together.push_back(make_run(folder, i));
      for (const std::string& error : train_together(together)) CHECK(error.empty());
      for (size_t i = 0; i < together.size(); ++i) {
        CAPTURE(i);
        check_equal(*together[i], *alone[i]);
      }
    }
}

TEST_CASE("a replica that diverges leaves the others alone") {
  TemporaryDirectory directory;
  const Threads guard(2);
  std::vector<std::unique_ptr<SmallRun>> together;
  for (int64_t i = 0; i < 4; ++i)
    together.push_back(make_run(directory.path() / "together", i, i == 3 ? 1e30 : 1));
  const std::vector<std::string> errors = train_together(together);
  for (int64_t i = 0; i < 3; ++i) {
    CAPTURE(i);
    CHECK(errors[static_cast<size_t>(i)].empty());
    const auto alone = make_run(directory.path() / "alone", i);
    alone->trainer.run(alone->folder, kGoOn);
    check_equal(*together[static_cast<size_t>(i)], *alone);
  }
  const auto bad = make_run(directory.path() / "alone", 3, 1e30);
  CHECK_THROWS_WITH_AS(bad->trainer.run(bad->folder, kGoOn), errors[3].c_str(), NonFiniteError);
  CHECK(bad->metrics() == together[3]->metrics());
}

TEST_CASE("replicas take turns, on as many threads as there are while there are as many replicas") {
  for (const int count : {1, 2, 3}) {
    CAPTURE(count);
    const Threads guard(count);
    Replicas replicas(kCpu);
    std::vector<int> counts(4);
    std::atomic<int> at_work = 0, most = 0, watchers = 0, calls = 0;
    const auto replica = [&](size_t i, int steps) {
      replicas.add([&, i, steps] {
        most = std::max<int>(most, ++at_work);
        const bool more = ++counts[i] < steps;
        std::this_thread::sleep_for(std::chrono::microseconds(200));
        --at_work;
        return more;
      });
    };
    for (size_t i = 0; i < 3; ++i) replica(i, 50);
    replicas.run([&] {
      CHECK(++watchers == 1);
      if (++calls == 60) replica(3, 20);  // joins the others
      --watchers;
    });
    for (size_t i = 0; i < 3; ++i) CHECK(counts[i] == 50);
    CHECK(counts[3] == 20);
    CHECK(most <= count);
    if (count > 1) CHECK(most > 1);
  }
  // With fewer replicas than threads a step may itself use all of them.
  const Threads guard(3);
  Replicas replicas(kCpu);
  int steps = 0;
  const auto caller = std::this_thread::get_id();
  for (int i = 0; i < 2; ++i)
    replicas.add([&] {
      CHECK(std::this_thread::get_id() == caller);
      return ++steps < 10;
    });
  replicas.run();
  CHECK(steps == 11);
}
