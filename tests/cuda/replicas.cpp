// Models that are trained together on a card: one launch for all of them, and each goes as it goes alone.
#include "models/replicas.h"

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <cmath>
#include <deque>
#include <map>
#include <optional>
#include <thread>

#include "bench/op_table/tolerance.h"
#include "core/autograd.h"
#include "core/kernels.h"
#include "core/replay.h"
#include "tests/models/small_model.h"
#include "training_run.h"
#ifdef GALVAN_CUDA_SIM
#include "cuda/sim/launch.h"
#endif

using namespace galvan;

namespace {

const std::atomic<bool> kGoOn = false;

// Runs that differ in every number that a launch may be given, and not in their launches.
TrainingKind kind_of(int i, DType dtype) {
  return {.model = {.context = 8, .layers = 1, .heads = 2, .width = 32},
          .dtype = dtype,
          .adam = dtype == DType::bf16,
          .dropout = 0.1 + 0.1 * i,
          .max_lr = 0.1 * (i + 1),
          .accumulate = 1,
          .model_seed = static_cast<uint64_t>(i + 1),
          .seed = static_cast<uint64_t>(i + 3)};
}

void check_close(const TrainingRun& a, const TrainingRun& b) {
  REQUIRE(a.losses.size() == b.losses.size());
  const DType dtype = a.model.parameters()[0].second.dtype();
  for (size_t i = 0; i < a.losses.size(); ++i)
    CHECK(std::fabs(a.losses[i] - b.losses[i]) <=
          static_cast<double>(i + 1) * tolerance(dtype, 64, b.losses[i]));
}

// On a card, which may sum products of a batch in another order than single ones, only about.
void check_equal(const TrainingRun& a, const TrainingRun& b) {
  REQUIRE(a.losses.size() == b.losses.size());
  REQUIRE(a.evaluations.size() == b.evaluations.size());
#ifdef GALVAN_CUDA_SIM
  CHECK(values_of(a.model.parameters()) == values_of(b.model.parameters()));
  CHECK(a.losses == b.losses);
  for (size_t i = 0; i < a.evaluations.size(); ++i) CHECK(a.evaluations[i].loss == b.evaluations[i].loss);
#else
  check_close(a, b);
#endif
}

std::vector<std::string> train_group(const std::vector<TrainingRun*>& runs, int64_t places) {
  std::vector<std::string> errors(runs.size());
  Replicas replicas(kCuda, places);
  for (size_t i = 0; i < runs.size(); ++i) {
    runs[i]->trainer.begin(runs[i]->folder);
    replicas.add([&run = *runs[i], &error = errors[i]] {
      try {
        return !run.trainer.advance(kGoOn);
      } catch (const Error& what) {
        error = what.what();
        return false;
      }
    });
  }
  replicas.run();
  return errors;
}

std::vector<std::string> train_together(std::deque<TrainingRun>& runs, int64_t places) {
  std::vector<TrainingRun*> all;
  for (TrainingRun& run : runs) all.push_back(&run);
  return train_group(all, places);
}

// In a group, whose kernels may be others than those of a run without one, but by itself.
void train_alone(TrainingRun& run) { CHECK(train_group({&run}, 1)[0].empty()); }

// Each member's models and optimizer, made by it, and so many steps.
std::vector<std::string> operations_of_step(const TemporaryDirectory& directory, int members,
                                            int64_t places) {
  ReplayGroup group(kCuda, places);
  std::vector<std::thread> threads;
  for (int i = 0; i < members; ++i)
    threads.emplace_back([&, i] {
      const ReplayGroup::Member member(group);
      TrainingRun run(directory.path() / std::to_string(i), kind_of(i, DType::bf16), 4);
      for (int step = 0; step < 4; ++step) run.trainer.train_step();
    });
  for (std::thread& thread : threads) thread.join();
  return group.operations();
}

// How often each comes: "3 drop, 24 cublasLt".
std::string counts_of(const std::vector<std::string>& operations) {
  std::map<std::string, int> counts;
  for (const std::string& name : operations) ++counts[name];
  std::string text;
  for (const auto& [name, count] : counts)
    text += (text.empty() ? "" : ", ") + std::to_string(count) + " " + name;
  return text;
}

}  // namespace

TEST_CASE("a step of several replicas has the launches of one") {
  TemporaryDirectory directory;
  const std::vector<std::string> one = operations_of_step(directory, 1, 4),
                                 four = operations_of_step(directory, 4, 4);
  const std::string counts = counts_of(four);
  CAPTURE(counts);
  CHECK(one.size() > 30);
#ifdef GALVAN_CUDA_SIM
  CHECK(four == one);
  CHECK(operations_of_step(directory, 3, 4) == one);
  // Where there is a place for one of three, two of them, whose memory lies anywhere, may be a batch, not all.
  const auto products = static_cast<size_t>(std::count(one.begin(), one.end(), "cublasLt"));
  const size_t scattered = operations_of_step(directory, 3, 1).size();
  CHECK(scattered > one.size());
  CHECK(scattered <= one.size() + 2 * products);
#else  // cublasLt has other kernels for a batch, perhaps more, and its sums of a bias' gradient by themselves
  CHECK(four.size() <= 2 * one.size());
#endif
}

TEST_CASE("replicas on a card go as each goes alone in a group, on the simulated one to the last bit") {
  TemporaryDirectory directory;
  for (const DType dtype : {DType::f32, DType::bf16}) {
    const std::string type = name(dtype);
    CAPTURE(type);
    std::deque<TrainingRun> alone, together, without_group;
    for (int i = 0; i < 3; ++i) {
      // One takes more steps, and one is of another size.
      const auto add = [&](std::deque<TrainingRun>& to, const std::string& folder) {
        TrainingKind kind = kind_of(i, dtype);
        if (i == 2) kind.batch_size = 3;
        to.emplace_back(directory.path() / (folder + type + std::to_string(i)), kind, i == 1 ? 6 : 5);
      };
      add(alone, "alone");
      add(together, "together");
      add(without_group, "without");
      train_alone(alone.back());
      CHECK(without_group.back().go() == Ending::finished);
    }
    for (const std::string& error : train_together(together, 2)) CHECK(error.empty());
    for (size_t i = 0; i < together.size(); ++i) {
      CAPTURE(i);
      check_equal(together[i], alone[i]);
      check_close(together[i], without_group[i]);
    }
  }
}

TEST_CASE("replicas whose branches are one kernel each go as each goes alone in a group") {
  TemporaryDirectory directory;
  const auto kind_at = [](int i) {
    TrainingKind kind = kind_of(i, DType::bf16);
    kind.model.context = 40;
    kind.model.width = 64;
    kind.dropout = 0;
    return kind;
  };
  std::deque<TrainingRun> together;
  for (int i = 0; i < 3; ++i) together.emplace_back(directory.path() / std::to_string(i), kind_at(i), 4);
  for (const std::string& error : train_together(together, 3)) CHECK(error.empty());
  for (int i = 0; i < 3; ++i) {
    CAPTURE(i);
    TrainingRun alone(directory.path() / ("alone" + std::to_string(i)), kind_at(i), 4);
    train_alone(alone);
    check_equal(together[static_cast<size_t>(i)], alone);
    TrainingRun without_group(directory.path() / ("without" + std::to_string(i)), kind_at(i), 4);
    CHECK(without_group.go() == Ending::finished);
    check_close(together[static_cast<size_t>(i)], without_group);
  }
}

#ifdef GALVAN_CUDA_SIM
TEST_CASE("replicas go as alone where cublasLt has no epilogues for a batch") {
  TemporaryDirectory directory;
  const auto kind_at = [](int i) {
    TrainingKind kind = kind_of(i, DType::bf16);
    kind.batch_size = 5;  // products of sizes for which no algorithm has been chosen yet
    return kind;
  };
  std::deque<TrainingRun> together;
  for (int i = 0; i < 2; ++i) together.emplace_back(directory.path() / std::to_string(i), kind_at(i), 4);
  sim::allow_batched_epilogues(false);
  for (const std::string& error : train_together(together, 2)) CHECK(error.empty());
  sim::allow_batched_epilogues(true);
  for (int i = 0; i < 2; ++i) {
    TrainingRun alone(directory.path() / ("alone" + std::to_string(i)), kind_at(i), 4);
    train_alone(alone);
    check_equal(together[static_cast<size_t>(i)], alone);
  }
}
#endif

TEST_CASE("a replica on a card that diverges leaves the others alone") {
  TemporaryDirectory directory;
  std::deque<TrainingRun> together;
  for (int i = 0; i < 3; ++i) {
    TrainingKind kind = kind_of(i, DType::f32);
    if (i == 1) kind.max_lr = 1e30;
    together.emplace_back(directory.path() / std::to_string(i), kind, 5);
  }
  const std::vector<std::string> errors = train_together(together, 3);
  CHECK(errors[0].empty());
  CHECK(errors[1].find("the loss is") != std::string::npos);
  CHECK(errors[2].empty());
  for (const int i : {0, 2}) {
    TrainingRun alone(directory.path() / ("alone" + std::to_string(i)), kind_of(i, DType::f32), 5);
    train_alone(alone);
    check_equal(together[static_cast<size_t>(i)], alone);
  }
}

TEST_CASE("members of a group come and go, fail, and replay different things a different number of times") {
  ReplayGroup group(kCuda, 2);
  std::vector<double> sums(5);
  std::vector<std::string> errors(5);
  std::vector<std::thread> threads;
  for (size_t i = 0; i < sums.size(); ++i)
    threads.emplace_back([&, i] {
      const ReplayGroup::Member member(group);
      const NoGrad guard;
      const int64_t n = i == 3 ? 40 : 65;
      const Tensor x = Tensor::full({n}, static_cast<double>(i), {.device = kCuda});
      Replay twice(kCuda), other(kCuda);
      int calls = 0;
      const auto add_one = [&] {
        if (i == 4 && ++calls == 2) fail("the body fails");
        x.copy_(x + 1.0);
      };
      try {
        for (int round = 0; round < 3; ++round) {
          twice.run(add_one, 1 + static_cast<int64_t>(i));
          other.run([&] { x.copy_(x * 2.0); });
        }
      } catch (const Error& error) {
        errors[i] = error.what();
      }
      sums[i] = max(x).item();
    });
  for (std::thread& thread : threads) thread.join();
  for (size_t i = 0; i < 4; ++i) {
    CAPTURE(i);
    CHECK(errors[i].empty());
    double want = static_cast<double>(i);
    for (int round = 0; round < 3; ++round) want = (want + 1 + static_cast<double>(i)) * 2;
    CHECK(sums[i] == want);
  }
  CHECK(errors[4] == "the body fails");
  CHECK(sums[4] == 5);
}

TEST_CASE("of more replicas than a launch has room for, several launches") {
  constexpr size_t kMembers = 35;
  ReplayGroup group(kCuda, static_cast<int64_t>(kMembers) + 1);
  std::vector<double> values(kMembers);
  std::vector<std::thread> threads;
  std::atomic<size_t> come = 0;
  std::optional<ReplayGroup::Member> first(group);  // at work until all have come
  for (size_t i = 0; i < kMembers; ++i)
    threads.emplace_back([&, i] {
      ++come;
      const ReplayGroup::Member member(group);
      const NoGrad guard;
      const Tensor x = Tensor::zeros({70}, {.device = kCuda}),
                   y = Tensor::full({70}, static_cast<double>(i), {.device = kCuda});
      Replay copy(kCuda);
      copy.run([&] { x.copy_(y); });
      x.zero_();
      copy.run([&] { x.copy_(y); });
      values[i] = max(x).item();
    });
  while (come < kMembers) std::this_thread::yield();
  std::this_thread::sleep_for(std::chrono::milliseconds(100));  // the last ones become members
  first.reset();
  for (std::thread& thread : threads) thread.join();
  for (size_t i = 0; i < kMembers; ++i) CHECK(values[i] == static_cast<double>(i));
  CHECK(group.operations().size() == 2);
}

TEST_CASE("what is recorded by itself may go on in a group, and the other way round") {
  const NoGrad guard;
  const Tensor x = Tensor::zeros({10}, {.device = kCuda});
  Replay replay(kCuda);
  const auto add_one = [&] { x.copy_(x + 1.0); };
  replay.run(add_one, 3);
  std::thread([&] {
    ReplayGroup group(kCuda, 1);
    const ReplayGroup::Member member(group);
    const NoGrad here;
    replay.run(add_one, 3);
  }).join();
  replay.run(add_one, 3);
  CHECK(max(x).item() == 9.0);
}
