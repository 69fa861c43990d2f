// Studies: what a file says, and what is refused with its line.
#include "apps/study.h"

#include <doctest/doctest.h>

#include "core/check.h"

using namespace galvan;

namespace {

const std::string kFixed = "[budget]\ntrials = 3\n[fixed]\ndata = \"a.txt\"\n";

// A study whose first line is `top` and whose last is `vary`.
std::string with(const std::string& top, const std::string& vary, const std::string& fixed = "") {
  return top + "\n" + kFixed + fixed + "[vary]\n" + vary + "\n";
}

const std::string kLr = "lr = { log-uniform = [1e-3, 1] }";

void refused(const std::string& study, const std::string& message) {
  INFO(study);
  CHECK_THROWS_WITH_AS(parse_study(study, "s.toml"), ("s.toml" + message).c_str(), Error);
}

}  // namespace

TEST_CASE("a whole study") {
  const Study study = parse_study(R"(metric = "time-to-loss"
target = 2
sampler = "tpe"
pruner = { kind = "hyperband", min-steps = 50, reduction = 2 }
seed = 7
[budget]
trials = 24
steps = 5000
minutes = 1.5
[fixed]
data = "a b.txt"
steps = 400
nesterov = true
[vary]
optimizer = { choice = ["sgd", "adamw"] }
momentum = { uniform = [0, 1], points = 3, when = { optimizer = ["sgd"] } }
batch-size = { int = [8, 32], step = 8 }
)",
                                  "s.toml");
  CHECK(study.metric == StudyMetric::time_to_loss);
  CHECK(study.target == 2);
  CHECK(study.sampler.kind == SamplerKind::tpe);
  CHECK(study.sampler.seed == 7);
  CHECK(study.pruner.kind == PrunerKind::hyperband);
  CHECK(study.pruner.min_steps == 50);
  CHECK(study.pruner.reduction == 2);
  CHECK(study.pruner.max_steps == 400);
  CHECK(study.trials == 24);
  CHECK(study.steps == 5000);
  CHECK(study.minutes == 1.5);
  CHECK(study.space.grid_size() == 4 * (3 + 1));
  const Point point = {{"optimizer", std::string("sgd")}, {"momentum", 0.5}, {"batch-size", int64_t{16}}};
  CHECK(study.options(point) ==
        "data = \"a b.txt\"\nnesterov = true\nsteps = 400\nbatch-size = 16\nmomentum = 0.5\noptimizer = "
        "\"sgd\"\n");
  CHECK(study.steps_of(point) == 400);
  CHECK(study.steps_of({{"steps", int64_t{30}}}) == 30);
}

TEST_CASE("what a study says nothing about") {
  const Study study = parse_study(with("", kLr), "s.toml");
  CHECK(study.metric == StudyMetric::validation_loss);
  CHECK(study.sampler.kind == SamplerKind::random);
  CHECK(study.pruner.kind == PrunerKind::none);
  CHECK(study.trial_steps == 2000);
  CHECK(parse_study(with("pruner = \"asha\"", kLr), "s.toml").pruner.min_steps == 500);  // eval-every
}

TEST_CASE("Hyperband's brackets are for the longest trial that there may be") {
  const auto max_steps = [](const std::string& range) {
    return parse_study(with("pruner = \"hyperband\"", "steps = " + range), "s.toml").pruner.max_steps;
  };
  CHECK(max_steps("{ int = [1000, 8000] }") == 8000);
  CHECK(max_steps("{ choice = [3000, 9000, 600] }") == 9000);
}

TEST_CASE("keys and options that there are not") {
  refused("[[[", ": not TOML");
  refused(with("metrik = 1", kLr),
          ":1: unknown key 'metrik'; there are budget, fixed, metric, pruner, sampler, seed, target, vary");
  refused(with("", "batchsize = { int = [1, 2] }"), ":7: unknown option 'batchsize' of galvan train");
  refused(with("", kLr, "resume = true\n"), ":6: unknown option 'resume' of galvan train");
  refused(with("", kLr, "out = \"x\"\n"), ":6: out: is not for a study, which gives every trial its own");
  refused(with("", kLr, "epochs = 2\n"), ":6: epochs: a study counts steps; give steps");
  refused(with("", kLr, "lr = 1\n"), ":8: lr: is among [fixed] too");
  refused(with("", "lr = { uniform = [0, 1], pints = 3 }"),
          ":7: lr: unknown key 'pints'; there are choice, int, uniform, log-uniform, step, points, when");
  refused("[vary]\nlr = { uniform = [0, 1] }\n[fixed]\n[budget]\ntrials = 1\n",
          ": [fixed] needs data, the text to learn from");
  refused("[fixed]\ndata = \"a\"\n", ": there is no [vary]");
  refused("fixed = 3\n", ":1: fixed: expected a table, got 3");
}

TEST_CASE("values of a wrong type or out of bounds") {
  constexpr const char* kExpected =
      ": lr: expected { choice = [...] }, { int = [low, high] }, { uniform = [low, high] } or { log-uniform "
      "= "
      "[low, high] }";
  refused(with("", "lr = 3"), std::string(":7") + kExpected + ", got 3");
  refused(with("", "lr = { points = 3 }"), std::string(":7") + kExpected);
  refused(with("", "lr = { uniform = 3 }"), ":7: lr: uniform: expected a list, got 3");
  refused(with("", "lr = { uniform = [1] }"), ":7: lr: uniform: expected [low, high], got 1 values");
  refused(with("", "lr = { uniform = [\"a\", 1] }"), ":7: lr: expected numbers, got \"a\"");
  refused(with("", "batch-size = { int = [1.5, 3] }"), ":7: batch-size: expected whole numbers, got 1.5");
  refused(with("", "batch-size = { uniform = [1, 3] }"), ":7: batch-size: 1.0 is not a whole number");
  refused(with("", "batch-size = { int = [0, 3] }"), ":7: batch-size: 0 is less than 1");
  refused(with("", "dropout = { uniform = [0.5, 2] }"), ":7: dropout: 2.0 is more than 1");
  refused(with("", "beta1 = { choice = [0.5, 1.5], when = { optimizer = \"adamw\" } }"),
          ":7: beta1: 1.5 is more than 1");
  refused(with("", "optimizer = { choice = [\"sgd\", \"adagrad\"] }"),
          ":7: optimizer: there is no 'adagrad'; there are adamw, adam, sgd");
  refused(with("", "lr = { uniform = [0, 1], choice = [1] }"),
          ":7: lr: choice and uniform exclude each other");
  refused(with("", "lr = { uniform = [0, 1], step = 2 }"), ":7: lr: step is for int");
  refused(with("", kLr, "steps = 0\n"), ":6: steps: 0 is less than 1");
  refused(with("", kLr, "steps = [1]\n"), ":6: steps: expected a value, got a list");
}

TEST_CASE("empty and reversed ranges") {
  refused(with("", "lr = { choice = [] }"), ":7: lr: a choice of nothing");
  refused(with("", "lr = { uniform = [1, 0] }"), ":7: lr: the low end 1 is not below the high end 0");
  refused(with("", "lr = { log-uniform = [0, 1] }"),
          ":7: lr: the low end 0 is not above 0, which a logarithm needs");
  refused(with("", "batch-size = { int = [9, 8] }"),
          ":7: batch-size: the low end 9 is not below the high end 8");
  refused("[vary]\n[fixed]\ndata = \"a\"\n", ":1: a search varies at least one parameter");
}

TEST_CASE("conditions") {
  refused(with("", kLr + "\nmomentum = { uniform = [0, 1], when = { optimizer = \"sgd\" } }"),
          ":8: momentum: its condition is on 'optimizer', which is not a parameter of this search");
  const std::string optimizer = "optimizer = { choice = [\"sgd\", \"adamw\"] }\n";
  refused(with("", optimizer + "momentum = { uniform = [0, 1], when = { optimizer = \"adam\" } }"),
          ":8: momentum: its condition waits for optimizer = adam, which it never is");
  refused(with("", optimizer + "momentum = { uniform = [0, 1], when = 3 }"),
          ":8: momentum: when: expected { OTHER = value } or { OTHER = [values] }, got 3");
  refused(with("", optimizer + "momentum = { uniform = [0, 1] }"),
          ":8: momentum: is for optimizer sgd; add when = { optimizer = \"sgd\" }");
  refused(with("", "momentum = { uniform = [0, 1] }"),
          ":7: momentum: is for optimizer sgd; this study never has that");
  refused(with("", kLr, "step-size-up = 3\n"),
          ":6: step-size-up: is for schedule cyclic; this study never has that");
  refused(with("", "momentum = { uniform = [0, 1] }", "optimizer = \"sgd\"\nschedule = \"cyclic\"\n"),
          ":9: momentum: does nothing while the schedule moves it: max-momentum and base-momentum are its "
          "bounds, cycle-momentum = false keeps it still");
}

TEST_CASE("metric, sampler, pruner and budget") {
  refused(with("metric = \"perplexity\"", kLr),
          ":1: metric: there is no 'perplexity'; there are validation-loss, accuracy, time-to-loss");
  refused(with("metric = 3", kLr),
          ":1: metric: expected one of validation-loss, accuracy, time-to-loss, got 3");
  refused(with("metric = \"time-to-loss\"", kLr),
          ":1: metric: time-to-loss needs target, the loss to come to");
  refused(with("target = 1.5", kLr), ":1: target: is for the metric time-to-loss");
  refused(with("", kLr, "validation = 0\n"),
          ":6: validation: expected more than 0, for every metric is of the validation split");
  refused(with("sampler = \"bayes\"", kLr),
          ":1: sampler: there is no 'bayes'; there are grid, random, sobol, tpe");
  refused(with("sampler = \"grid\"", kLr), ":1: lr: a grid needs to know how many points this range has");
  refused(with("sampler = \"grid\"", "seed = { int = [1, 1000000000] }"),
          ":1: a grid over these parameters has 1e+09 points; at most 100000 are taken");
  refused(with("seed = -1", kLr), ":1: seed: expected a whole number from 0 on, got -1");
  refused(with("pruner = \"racing\"", kLr),
          ":1: pruner: there is no 'racing'; there are none, median, asha, hyperband");
  refused(with("pruner = { min-steps = 3 }", kLr),
          ":1: pruner: expected a kind, one of none, median, asha, hyperband");
  refused(with("pruner = { kind = \"asha\", reduction = 1 }", kLr), ":1: pruner: reduction 1 is less than 2");
  refused(with("pruner = { kind = \"median\", reduction = 3 }", kLr),
          ":1: pruner: reduction is for asha and hyperband");
  refused(with("pruner = { kind = \"asha\", warmup-steps = 3 }", kLr),
          ":1: pruner: warmup-steps is for median");
  const std::string rest = "[fixed]\ndata = \"a\"\n[vary]\n" + kLr + "\n";
  refused(rest, ": without a budget this never ends: [budget] needs trials, steps or minutes");
  refused("[budget]\ntrials = 0\n" + rest, ":2: trials: expected a whole number above 0, got 0");
  refused("[budget]\nminutes = \"3\"\n" + rest, ":2: minutes: expected a number above 0, got \"3\"");
  refused("[budget]\nhours = 3\n" + rest,
          ":2: budget: unknown key 'hours'; there are trials, steps, minutes");
}
