#include "models/cycle_average.h"

#include <doctest/doctest.h>

#include <cmath>

#include "core/autograd.h"
#include "core/ops.h"
#include "models/checkpoint.h"
#include "models/evaluate.h"
#include "models/files.h"
#include "tests/models/small_model.h"
#include "tests/models/temporary_directory.h"

using namespace galvan;
namespace fs = std::filesystem;

namespace {

struct Place {
  TemporaryDirectory directory;
  fs::path run = directory.path();
  std::unique_ptr<Tokenizer> tokenizer = CharacterTokenizer::train("abcdefghijklmnopqrs");
  TokenArray tokens{golden_integers(121, 3, 19), 19};
  Transformer one{small_gpt2(), {.seed = 1}}, two{small_gpt2(), {.seed = 2}},
      scratch{small_gpt2(), {.seed = 3}};

  Place() {
    scramble(one);
    scramble(two, 0.2);
    save_cycle(run, 9, one, *tokenizer);
    save_cycle(run, 10, two, *tokenizer);
  }
};

}  // namespace

TEST_CASE("the mean of two models' weights") {
  Place place;
  load_average(keep_cycles(place.run, {9, 10}), place.scratch);
  const auto a = values_of(place.one.parameters()), b = values_of(place.two.parameters()),
             mean = values_of(place.scratch.parameters());
  for (const auto& [name, values] : mean)
    for (size_t i = 0; i < values.size(); ++i)
      if (values[i] != static_cast<float>((a.at(name)[i] + b.at(name)[i]) / 2)) FAIL_CHECK(name << " " << i);
  CHECK_THROWS_WITH_AS(load_average({}, place.scratch), "average: there is no model to average", Error);
}

TEST_CASE("an ensemble of one is that model; of two, it predicts the mean of their probabilities") {
  Place place;
  const TokenRange range{0, 121};
  const auto cycles = keep_cycles(place.run, {9, 10});
  CHECK(ensemble_loss({cycles[0]}, place.scratch, place.tokens, range, 4) ==
        doctest::Approx(evaluate(place.one, place.tokens, range, *place.tokenizer, 4).loss).epsilon(1e-6));

  // By hand, window by window.
  const NoGrad guard;
  const EvaluationBatches batches(place.tokens, range, 1, place.one.config().context);
  std::vector<int32_t> x(9), y(9);
  double total = 0;
  for (int64_t i = 0; i < batches.batches(); ++i) {
    const auto [rows, length] = batches.read(i, x, y);
    const Tensor inputs =
        Tensor::from(std::span<const int32_t>(x.data(), static_cast<size_t>(length)), {1, length});
    const auto p = softmax(place.one(inputs, false)).to_vector(),
               q = softmax(place.two(inputs, false)).to_vector();
    for (int64_t t = 0; t < length; ++t) {
      const auto at = static_cast<size_t>(19 * t + y[static_cast<size_t>(t)]);
      total -= std::log((p[at] + q[at]) / 2);
    }
  }
  CHECK(ensemble_loss(cycles, place.scratch, place.tokens, range, 4) ==
        doctest::Approx(total / 120).epsilon(1e-5));
}

TEST_CASE("of the cycles that are there, those that are asked for are kept") {
  Place place;
  make_directories(place.run / "cycles" / ".11.partial");
  CHECK(keep_cycles(place.run, {8, 9, 10}) == std::vector{place.run / "cycles/9", place.run / "cycles/10"});
  CHECK(!fs::exists(place.run / "cycles/.11.partial"));
  CHECK(saved_cycles(place.run, 10) == std::vector<int64_t>{9, 10});
  CHECK(saved_cycles(place.run, 9) == std::vector<int64_t>{9});
  CHECK(keep_cycles(place.run, {9}) == std::vector{place.run / "cycles/9"});
  CHECK(!fs::exists(place.run / "cycles/10"));
  save_cycle(place.run, 9, place.two, *place.tokenizer);
  load_weights(place.run / "cycles/9", place.scratch);
  CHECK(values_of(place.scratch.parameters()) == values_of(place.two.parameters()));
  CHECK(keep_cycles(place.run / "nothing", {9}).empty());
}
