#include "models/trainer.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "optim/adam.h"
#include "tests/models/small_run.h"
#include "tests/models/temporary_directory.h"

using namespace galvan;
namespace fs = std::filesystem;

namespace {

using Run = SmallRun;

const TrainerOptions kOptions{.steps = 13,
                              .batch_size = 2,
                              .accumulate = 2,
                              .clip = 0.5,
                              .eval_every = 3,
                              .save_every = 4,
                              .patience = 9,
                              .seed = 5};
const std::atomic<bool> kGoOn = false;

}  // namespace

TEST_CASE("a run resumed after a kill ends as one that was never stopped, bit for bit") {
  TemporaryDirectory directory;
  Run whole(directory.path() / "whole", kOptions);
  CHECK(whole.trainer.run(whole.folder, kGoOn) == Ending::finished);
  for (int64_t killed_after : {4, 7, 10}) {
    CAPTURE(killed_after);
    const fs::path folder = directory.path() / std::to_string(killed_after);
    struct Killed {};
    {
      Run first(folder, kOptions);
      Trainer trainer({first.model, first.optimizer, first.schedule, *first.tokenizer, first.tokens,
                       split_tokens(first.tokens.size(), 0.2)},
                      kOptions, {.on_step = [&](const StepReport& report) {
                        if (report.step == killed_after + 1) throw Killed();  // no time to save
                      }});
      CHECK_THROWS_AS(trainer.run(folder, kGoOn), Killed);
    }
    Run second(folder, kOptions);
    second.resume();
    CHECK(second.trainer.step() > 0);
    CHECK(second.trainer.step() <= killed_after);
    CHECK(second.trainer.run(folder, kGoOn) == Ending::finished);
    CHECK(values_of(second.model.parameters()) == values_of(whole.model.parameters()));
    CHECK(values_of(second.optimizer.state()) == values_of(whole.optimizer.state()));
    CHECK(second.metrics() == whole.metrics());
    CHECK(second.trainer.best_step() == whole.trainer.best_step());
  }
  Run again(whole.folder, kOptions);
  CHECK_THROWS_WITH_AS(
      again.trainer.run(whole.folder, kGoOn),
      (whole.folder.string() + ": holds a run's checkpoints already; resume it, or train in another folder")
          .c_str(),
      Error);
}

TEST_CASE("at evaluations the gradients' norm is split up by layer") {
  TemporaryDirectory directory;
  Run run(directory.path(), kOptions);
  run.trainer.run(run.folder, kGoOn);
  const auto records = run.metrics();
  std::vector<int64_t> steps;
  for (size_t i = 1; i < records.size(); ++i) {
    if (!records[i].contains("grad_norms")) continue;
    CHECK(records[i].at("step") == records[i - 1].at("step"));
    steps.push_back(records[i].at("step"));
    double sum = 0;
    for (const auto& [layer, norm] : records[i].at("grad_norms").items())
      sum += std::pow(norm.get<double>(), 2);
    CHECK(std::sqrt(sum) == doctest::Approx(records[i - 1].at("grad_norm").get<double>()).epsilon(1e-12));
    for (const char* layer : {"embedding", "positions", "blocks.0", "blocks.1", "norm"})
      CHECK_MESSAGE(records[i].at("grad_norms").value(layer, 0.0) > 0, layer);
  }
  for (const int64_t step : {3, 6, 9, 12, 13})
    CHECK_MESSAGE(std::find(steps.begin(), steps.end(), step) != steps.end(), step);
}

TEST_CASE("what a trainer drew from is forgotten with its step") {
  TemporaryDirectory directory;
  {
    Run run(directory.path(), kOptions);
    run.trainer.train_step();
  }
  CHECK(RandomContext::current().state().step_from == nullptr);
}

TEST_CASE("epochs end with a report and an evaluation") {
  TemporaryDirectory directory;
  TrainerOptions options = kOptions;
  options.eval_every = 0;
  Run run(directory.path(), options);
  run.trainer.run(run.folder, kGoOn);
  REQUIRE(run.epochs.size() >= 2);
  for (size_t i = 0; i < run.epochs.size(); ++i) {
    CHECK(run.epochs[i].epoch == static_cast<int64_t>(i) + 1);
    CHECK(run.epochs[i].evaluation.has_value());
    double sum = 0, steps = 0;
    for (const auto& line : run.metrics())
      if (line.contains("loss") && line.at("epoch") == run.epochs[i].epoch)
        sum += line.at("loss").get<double>(), ++steps;
    CHECK(run.epochs[i].train_loss == doctest::Approx(sum / steps));
  }
}

TEST_CASE("two small batches are one of twice the size") {
  TemporaryDirectory directory;
  TrainerOptions two = kOptions, one = kOptions;
  two.batch_size = 3, one.batch_size = 6, one.accumulate = 1;
  Run a(directory.path() / "a", two, 0.3, 0.0), b(directory.path() / "b", one, 0.3, 0.0);
  a.trainer.run(a.folder, kGoOn);
  b.trainer.run(b.folder, kGoOn);
  const auto x = values_of(a.model.parameters()), y = values_of(b.model.parameters());
  for (const auto& [name, values] : x)
    for (size_t i = 0; i < values.size(); ++i)
      if (!(std::abs(values[i] - y.at(name)[i]) < 1e-4))
        FAIL_CHECK(name << " " << values[i] << " " << y.at(name)[i]);
}

TEST_CASE("a request to stop saves; a spent patience stays spent") {
  TemporaryDirectory directory;
  Run run(directory.path() / "stop", kOptions);
  const std::atomic<bool> stop = true;
  run.trainer.train_step();
  CHECK(run.trainer.run(run.folder, stop) == Ending::stopped);
  CHECK(load_training_state(run.folder / "current").step == 1);

  TrainerOptions options = kOptions;
  options.steps = 40, options.patience = 1, options.eval_every = 1;
  Run early(directory.path() / "early", options, 1.0);
  CHECK(early.trainer.run(early.folder, kGoOn) == Ending::out_of_patience);
  CHECK(early.trainer.step() < 40);
  Run more(directory.path() / "early", options, 1.0);
  more.resume();
  CHECK(more.trainer.run(more.folder, kGoOn) == Ending::out_of_patience);
  CHECK(more.trainer.step() == early.trainer.step());
}

TEST_CASE("a cycle's end is evaluated and saved; patience may count cycles") {
  TemporaryDirectory directory;
  TrainerOptions options = kOptions;
  options.steps = 20, options.eval_every = 0, options.save_every = 0, options.patience = 0;
  std::vector<int64_t> cycles, saved;
  Run run(directory.path() / "cycles", options);  // of 6 steps
  Trainer trainer({run.model, run.optimizer, run.schedule, *run.tokenizer, run.tokens,
                   split_tokens(run.tokens.size(), 0.2)},
                  options,
                  {.on_checkpoint = [&](int64_t step, bool) { saved.push_back(step); },
                   .on_cycle =
                       [&](int64_t step) {
                         CHECK(std::find(saved.begin(), saved.end(), step) == saved.end());
                         cycles.push_back(step);
                       }});
  trainer.run(run.folder, kGoOn);
  CHECK(cycles == std::vector<int64_t>{6, 12, 18});
  for (const int64_t step : cycles) CHECK(std::find(saved.begin(), saved.end(), step) != saved.end());

  options.steps = 90, options.eval_every = 1, options.patience = 1;
  Run hasty(directory.path() / "hasty", options, 1.0);
  CHECK(hasty.trainer.run(hasty.folder, kGoOn) == Ending::out_of_patience);
  options.patience_in_cycles = true;
  Run patient(directory.path() / "patient", options, 1.0);
  CHECK(patient.trainer.run(patient.folder, kGoOn) == Ending::out_of_patience);
  CHECK(patient.trainer.step() % 6 == 0);
  CHECK(patient.trainer.step() > hasty.trainer.step());
  CHECK(patient.trainer.best_step() <= patient.trainer.step() - 6);

  const Schedule fixed = FixedLR{.lr = 0.1};
  CHECK_THROWS_WITH_AS(Trainer({run.model, run.optimizer, fixed, *run.tokenizer, run.tokens,
                                split_tokens(run.tokens.size(), 0.2)},
                               options),
                       "train: FixedLR has no cycles at whose ends to stop", Error);
}

TEST_CASE("NaN is named, and the good weights are saved") {
  TemporaryDirectory directory;
  Run burst(directory.path() / "burst", kOptions, 1e30);
  try {
    burst.trainer.run(burst.folder, kGoOn);
    FAIL("no error");
  } catch (const NonFiniteError& error) {
    CHECK(std::string(error.what()).find("First bad value: ") != std::string::npos);
  }
  const auto saved = load_model(burst.folder / "current");
  CHECK(values_of(saved.model->parameters()) == values_of(burst.model.parameters()));

  Run planted(directory.path() / "planted", kOptions);
  planted.model.parameters()[3].second.detach().fill_(NAN);
  try {
    planted.trainer.run(planted.folder, kGoOn);
    FAIL("no error");
  } catch (const NonFiniteError& error) {
    const std::string name = planted.model.parameters()[3].first;
    CHECK(std::string(error.what()) ==
          "step 1: the loss is nan and the gradient norm nan. First bad value: the parameter " + name +
              " itself. The weights are those of step 0");
  }
}
