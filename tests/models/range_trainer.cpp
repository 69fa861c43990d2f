#include "models/range_trainer.h"

#include <doctest/doctest.h>

#include <cmath>

#include "core/random.h"
#include "optim/adam.h"
#include "optim/sgd.h"
#include "tests/models/small_model.h"

using namespace galvan;

namespace {

struct Place {
  TokenArray tokens{golden_integers(260, 3, 19), 19};
  TokenRange train{0, 200};
  Transformer model{[] {
                      ModelConfig c = small_gpt2();
                      c.dropout = 0.2;
                      return c;
                    }(),
                    {.seed = 1}};
};

constexpr RangeTrainerOptions kOptions{.batch_size = 2, .accumulate = 2, .clip = 1, .seed = 5};

}  // namespace

TEST_CASE_TEMPLATE("whatever was tried, model, optimizer and generator are as before", Optim, SGD, AdamW) {
  Place place;
  Optim optimizer = [&] {
    if constexpr (std::is_same_v<Optim, SGD>)
      return Optim(decay_matrices_only(place.model.parameters()),
                   {.lr = 0.1, .momentum = 0.9, .weight_decay = 0.1});
    else
      return Optim(decay_matrices_only(place.model.parameters()), {.lr = 0.1, .weight_decay = 0.1});
  }();
  RandomContext::current().begin(7, 3, 0);
  RandomContext::current().next();
  {
    RangeTrainer before(place.model, optimizer, place.tokens, place.train, kOptions);
    before.step({.lr = 0.01});
  }
  // A state that is not that of the beginning.
  const Tensor loss = cross_entropy(place.model(some_tokens(2, 9, 19)), some_tokens(2, 9, 19, 2));
  loss.backward();
  optimizer.step();
  optimizer.zero_grad();
  const auto weights = values_of(place.model.parameters()), state = values_of(optimizer.state());
  const int64_t steps = optimizer.control().step;
  const RandomStream random = RandomContext::current().state();

  std::vector<double> first, second;
  {
    RangeTrainer trainer(place.model, optimizer, place.tokens, place.train, kOptions);
    for (int i = 0; i < 4; ++i)
      first.push_back(trainer.step({.lr = 0.1, .momentum = 0.5, .weight_decay = 0.3}));
    CHECK(values_of(place.model.parameters()) != weights);
    trainer.restore();
    for (int i = 0; i < 4; ++i)
      second.push_back(trainer.step({.lr = 0.1, .momentum = 0.5, .weight_decay = 0.3}));
    trainer.step({.lr = 1e30});
    trainer.step({.lr = 1e30});
    CHECK(!std::isfinite(trainer.step({.lr = 1e30})));
  }
  CHECK(first == second);
  CHECK(values_of(place.model.parameters()) == weights);
  CHECK(values_of(optimizer.state()) == state);
  CHECK(optimizer.control().step == steps);
  CHECK(optimizer.weight_decay() == 0.1);
  for (const auto& [name, parameter] : place.model.parameters()) CHECK(!parameter.grad().defined());
  const RandomStream after = RandomContext::current().state();
  CHECK(after.seed == random.seed);
  CHECK(after.step == random.step);
  CHECK(after.stream == random.stream);
  CHECK(after.step_from == random.step_from);
}

TEST_CASE("a step of a range test is a step of the optimizer that has these values") {
  Place one, other;
  SGD swept(decay_matrices_only(one.model.parameters()), {.lr = 1, .momentum = 0.9});
  SGD fixed(decay_matrices_only(other.model.parameters()), {.lr = 0.2, .momentum = 0.7, .weight_decay = 0.4});
  RangeTrainer a(one.model, swept, one.tokens, one.train, kOptions);
  RangeTrainer b(other.model, fixed, other.tokens, other.train, kOptions);
  for (int i = 0; i < 3; ++i)
    CHECK(a.step({.lr = 0.2, .momentum = 0.7, .weight_decay = 0.4}) == b.step({.lr = 0.2}));
  CHECK(values_of(one.model.parameters()) == values_of(other.model.parameters()));
}
