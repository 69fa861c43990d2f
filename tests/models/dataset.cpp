#include "models/dataset.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <set>

#include "core/check.h"
#include "tests/models/temporary_directory.h"

using namespace galvan;

namespace {

// Tokens that are their own places.
TokenArray counting(int64_t n) {
  std::vector<int32_t> ids(static_cast<size_t>(n));
  std::iota(ids.begin(), ids.end(), 0);
  return TokenArray(ids, n);
}

// The starts of `count` windows from the beginning of training on.
std::vector<int64_t> starts(const BatchSampler& sampler, int64_t count) {
  std::vector<int64_t> result;
  for (int64_t i = 0; i < count; ++i)
    result.push_back(sampler.start(i / sampler.windows_per_step(), 0, i % sampler.windows_per_step()));
  return result;
}

}  // namespace

TEST_CASE("dataset: the last part is for validation") {
  const Split split = split_tokens(1'115'394);
  CHECK(split.train.begin == 0);
  CHECK(split.train.end == 1'003'854);
  CHECK(split.validation.begin == 1'003'854);
  CHECK(split.validation.end == 1'115'394);
  CHECK(split_tokens(10, 0.3).train.size() == 7);
  CHECK(split_tokens(10, 0).validation.size() == 0);
  CHECK(split_tokens(0).train.size() == 0);
  for (double wrong : {-0.1, 1.0, 90.0, std::nan("")}) CHECK_THROWS_AS(split_tokens(10, wrong), Error);
  CHECK_THROWS_WITH_AS(split_tokens(10, 1.5),
                       "data: the validation fraction is 1.5, must be at least 0 and below 1", Error);
}

TEST_CASE("dataset: a corpus that is missing, empty or binary") {
  TemporaryDirectory directory;
  const std::string path = (directory.path() / "text").string();
  CHECK_THROWS_WITH_AS(read_corpus(path), ("cannot read " + path + ": No such file or directory").c_str(),
                       Error);
  write_file_atomically(path, "");
  CHECK_THROWS_WITH_AS(read_corpus(path), ("data: " + path + " is empty").c_str(), Error);
  write_file_atomically(path, "ab\xFF");
  CHECK_THROWS_WITH_AS(read_corpus(path),
                       ("data: " + path + " is not UTF-8 text at byte 2: binary file?").c_str(), Error);
  CHECK(read_corpus(path, true) == "ab\xFF");
  write_file_atomically(path, std::string_view("a\0b", 3));
  CHECK_THROWS_WITH_AS(read_corpus(path),
                       ("data: " + path + " is not UTF-8 text at byte 1: binary file?").c_str(), Error);
  write_file_atomically(path, "été\r\n");
  CHECK(read_corpus(path) == "été\r\n");
}

TEST_CASE("dataset: an epoch has every window once, and the next one in another order") {
  for (int64_t n : {8, 14, 15, 22, 71, 500, 7 * 257 + 3}) {
    const TokenArray tokens = counting(n + 5);
    const BatchSampler sampler(tokens, {3, n + 3}, {.batch_size = 3, .context = 7, .seed = 11});
    const int64_t windows = sampler.windows_per_epoch();
    CHECK(windows == std::max<int64_t>(1, (n - 7) / 7));
    const std::vector<int64_t> order = starts(sampler, 4 * windows);
    for (int64_t epoch = 0; epoch < 4; ++epoch) {
      std::vector<int64_t> sorted(order.begin() + epoch * windows, order.begin() + (epoch + 1) * windows);
      std::sort(sorted.begin(), sorted.end());
      CHECK(sorted.front() >= 3);
      CHECK(sorted.back() + 7 < n + 3);
      for (int64_t w = 0; w < windows; ++w) REQUIRE(sorted[static_cast<size_t>(w)] == sorted[0] + 7 * w);
    }
    if (windows > 50) {
      std::vector<int64_t> first(order.begin(), order.begin() + windows);
      CHECK(!std::is_sorted(first.begin(), first.end()));
      // The same windows a whole epoch later: about one in expectation, were the order drawn anew and the
      // phase not.
      int64_t same = 0;
      for (int64_t w = 0; w < windows; ++w)
        same += order[static_cast<size_t>(w)] / 7 == order[static_cast<size_t>(w + windows)] / 7;
      CHECK(same < 10);
    }
  }
}

TEST_CASE("dataset: over many epochs every token is a target, and windows begin everywhere") {
  const TokenArray tokens = counting(40);
  const BatchSampler sampler(tokens, {0, 40}, {.batch_size = 1, .context = 6, .seed = 2});
  std::set<int64_t> begins, targets;
  for (int64_t start : starts(sampler, 200 * sampler.windows_per_epoch())) {
    begins.insert(start);
    for (int64_t t = 1; t <= 6; ++t) targets.insert(start + t);
  }
  CHECK(begins.size() == 34);   // 0 .. 33
  CHECK(targets.size() == 39);  // all but the first
}

TEST_CASE("dataset: all orders of five windows come up, about equally often") {
  const TokenArray tokens = counting(6 * 4);
  std::map<std::vector<int64_t>, int> orders;
  constexpr int kSeeds = 12'000;
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    const BatchSampler sampler(tokens, {0, tokens.size()}, {.batch_size = 5, .context = 4, .seed = seed});
    REQUIRE(sampler.windows_per_epoch() == 5);
    std::vector<int64_t> order = starts(sampler, 5);
    const int64_t phase = *std::min_element(order.begin(), order.end());
    for (int64_t& start : order) start = (start - phase) / 4;
    ++orders[order];
  }
  CHECK(orders.size() == 120);
  // Chi-squared with 119 degrees of freedom: above 193 with probability 2e-5 were they uniform.
  double chi_squared = 0;
  for (const auto& [order, count] : orders)
    chi_squared += std::pow(count - kSeeds / 120.0, 2) / (kSeeds / 120.0);
  CHECK(chi_squared < 193);
}

TEST_CASE("dataset: y is x one token on, and the batch is that of its starts") {
  const TokenArray tokens = counting(100);
  for (BatchOrder order : {BatchOrder::epoch, BatchOrder::random}) {
    const BatchSampler sampler(tokens, {10, 90},
                               {.batch_size = 3, .context = 5, .micro_steps = 2, .seed = 1, .order = order});
    std::vector<int32_t> x(15), y(15);
    sampler.read(4, 1, x, y);
    for (int64_t row = 0; row < 3; ++row) {
      for (int64_t t = 0; t < 5; ++t) {
        CHECK(x[static_cast<size_t>(row * 5 + t)] == sampler.start(4, 1, row) + t);
        CHECK(y[static_cast<size_t>(row * 5 + t)] == sampler.start(4, 1, row) + t + 1);
      }
    }
  }
}

TEST_CASE(
    "dataset: a step sees the same windows however it is cut into micro-steps; another seed sees others") {
  const TokenArray tokens = counting(1000);
  for (BatchOrder order : {BatchOrder::epoch, BatchOrder::random}) {
    const auto starts_of_step = [&](int64_t batch_size, int64_t micro_steps, uint64_t seed, int64_t step) {
      const BatchSampler sampler(
          tokens, {0, 1000},
          {.batch_size = batch_size, .context = 9, .micro_steps = micro_steps, .seed = seed, .order = order});
      std::vector<int64_t> result;
      for (int64_t m = 0; m < micro_steps; ++m)
        for (int64_t b = 0; b < batch_size; ++b) result.push_back(sampler.start(step, m, b));
      return result;
    };
    for (int64_t step : {0, 1, 5, 1'000'000}) {
      CHECK(starts_of_step(12, 1, 5, step) == starts_of_step(3, 4, 5, step));
      CHECK(starts_of_step(12, 1, 5, step) != starts_of_step(12, 1, 6, step));
      CHECK(starts_of_step(12, 1, 5, step) != starts_of_step(12, 1, 5, step + 1));
    }
  }
}

TEST_CASE("dataset: random windows reach every place of the range and no other") {
  const TokenArray tokens = counting(60);
  const BatchSampler sampler(tokens, {20, 50},
                             {.batch_size = 4, .context = 8, .seed = 3, .order = BatchOrder::random});
  std::set<int64_t> seen;
  for (int64_t start : starts(sampler, 1000)) seen.insert(start);
  CHECK(seen.size() == 22);
  CHECK(*seen.begin() == 20);
  CHECK(*seen.rbegin() == 41);  // reads token 49 as its last target
}

TEST_CASE("dataset: the order is pinned, for a change would break resuming older runs") {
  const TokenArray tokens = counting(1000);
  const BatchSampler epoch(tokens, {0, 1000}, {.batch_size = 2, .context = 10, .seed = 1337});
  CHECK(starts(epoch, 6) == std::vector<int64_t>{556, 286, 586, 976, 436, 896});
  const BatchSampler random(tokens, {0, 1000},
                            {.batch_size = 2, .context = 10, .seed = 1337, .order = BatchOrder::random});
  CHECK(starts(random, 6) == std::vector<int64_t>{518, 516, 579, 223, 349, 225});
}

TEST_CASE("dataset: epochs and steps") {
  const TokenArray tokens = counting(71);
  const BatchSampler sampler(tokens, {0, 71}, {.batch_size = 2, .context = 7, .micro_steps = 2});
  CHECK(sampler.windows_per_epoch() == 9);
  CHECK(sampler.windows_per_step() == 4);
  CHECK(sampler.epochs_after(0) == 0);
  CHECK(sampler.epochs_after(2) == 0);
  CHECK(sampler.epochs_after(3) == 1);
  CHECK(sampler.epochs_after(9) == 4);
  CHECK(sampler.steps_for(1) == 3);
  CHECK(sampler.steps_for(2) == 5);
  CHECK(sampler.steps_for(4) == 9);
  CHECK(sampler.steps_for(0.5) == 2);
  for (int64_t epochs = 0; epochs < 50; ++epochs) {
    const int64_t steps = sampler.steps_for(static_cast<double>(epochs));
    CHECK(sampler.epochs_after(steps) >= epochs);
    if (steps > 0) CHECK(sampler.epochs_after(steps - 1) < epochs);
  }
}

TEST_CASE("dataset: a split too short for the context, and sizes that make no sense") {
  const TokenArray tokens = counting(65);
  CHECK_THROWS_WITH_AS(BatchSampler(tokens, {0, 40}, {.context = 64}),
                       "data: the training split has 40 tokens, fewer than context + 1 = 65", Error);
  CHECK_THROWS_WITH_AS(BatchSampler(tokens, {0, 64}, {.context = 64}),
                       "data: the training split has 64 tokens, fewer than context + 1 = 65", Error);
  CHECK(BatchSampler(tokens, {0, 65}, {.context = 64}).start(3, 0, 11) == 0);
  CHECK_THROWS_WITH_AS(BatchSampler(tokens, {0, 65}, {.batch_size = 0}),
                       "data: batch size 0, context 64 and micro-steps 1 must be positive", Error);
  CHECK_THROWS_WITH_AS(EvaluationBatches(tokens, {64, 65}, 2, 8),
                       "data: the validation split has 1 tokens, fewer than 2", Error);
  CHECK_THROWS_WITH_AS(EvaluationBatches(tokens, {0, 65}, 2, 0),
                       "data: batch size 2 and context 0 must be positive", Error);
}

TEST_CASE("dataset: evaluation has each target once, in order, after the token before it") {
  const TokenArray tokens = counting(200);
  for (int64_t n : {2, 3, 8, 9, 10, 17, 18, 57, 58, 100}) {
    for (int64_t batch_size : {1, 3, 7}) {
      const EvaluationBatches evaluation(tokens, {50, 50 + n}, batch_size, 8);
      std::vector<int32_t> x(static_cast<size_t>(batch_size) * 8), y(x.size()), seen;
      for (int64_t i = 0; i < evaluation.batches(); ++i) {
        const auto [rows, length] = evaluation.read(i, x, y);
        CHECK(rows > 0);
        CHECK(rows <= batch_size);
        CHECK((length == 8 || (rows == 1 && i == evaluation.batches() - 1)));
        for (size_t j = 0; j < static_cast<size_t>(rows * length); ++j) {
          CHECK(y[j] == x[j] + 1);
          seen.push_back(y[j]);
        }
      }
      std::vector<int32_t> wanted(static_cast<size_t>(n - 1));
      std::iota(wanted.begin(), wanted.end(), 51);
      CHECK(seen == wanted);
      CHECK(evaluation.targets() == n - 1);
    }
  }
}
