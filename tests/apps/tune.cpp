// `galvan tune`: whole studies.
#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <set>

#include "apps/tune_summary.h"
#include "apps/tune_view.h"
#include "tests/apps/studies.h"

using namespace galvan;
using std::string_literals::operator""s;

TEST_CASE("a grid of trials, each what galvan train does alone") {
  const Workplace place;
  const Finished result = tune(place, study("sampler = \"grid\"", kFour), {"--jobs", "2"});
  REQUIRE_MESSAGE(result.code == 0, result.err);
  const auto all = trials(place);
  REQUIRE(all.size() == 4);
  std::set<std::string> points;
  for (const StudyTrial& trial : all) {
    points.insert(parameters_text(trial.point));
    CHECK(trial.state == TrialState::finished);
    CHECK(trial.steps == 12);
    REQUIRE(trial.reports.size() == 3);
    CHECK(trial.value == std::min({trial.reports[0].loss, trial.reports[1].loss, trial.reports[2].loss}));
  }
  CHECK(points.size() == 4);

  // The command that the summary ends with repeats the best.
  const StudyTrial& best = *best_trial(all, StudyMetric::validation_loss);
  const std::string run = "study/trials/" + number(best.number);
  CHECK(result.out.ends_with("galvan train --config " + run + "/config.toml --out runs/best\n"));
  CHECK(result.out.find("trial " + number(best.number) + " finished after 12 steps: ") != std::string::npos);
  REQUIRE(place.run({"train", "--config", run + "/config.toml", "--out", "runs/best"}).code == 0);
  CHECK(place.metrics("runs/best") == place.metrics(run));
  CHECK(place.read("runs/best/current/model.safetensors") == place.read(run + "/current/model.safetensors"));

  const Finished shown = place.run({"tune", "show", "study"});
  CHECK(shown.code == 0);
  CHECK(result.out.ends_with("\n" + shown.out));
  CHECK(shown.out.starts_with("4 trials, 4 finished; 48 steps, "));
  CHECK(shown.out.find("\nBest by validation-loss\n") != std::string::npos);
  CHECK(shown.out.find("Importance: needs 8 trials") != std::string::npos);

  const Finished again = tune(place, study("sampler = \"grid\"", kFour));
  CHECK(again.code == 1);
  CHECK(again.err ==
        "galvan: study holds a study already: --resume goes on with it, another --out begins anew\n");
  // Nothing is left to do, and nothing is done.
  const Finished resumed = place.run({"tune", "--out", "study", "--resume"});
  CHECK(resumed.code == 0);
  CHECK(resumed.out == "\n" + shown.out);
}

TEST_CASE("trials that diverge or fail are told with their reason, and stop nothing") {
  const Workplace place;
  const Finished result =
      tune(place, study("sampler = \"grid\"", "lr = { choice = [1e-2, 1e30] }\nheads = { choice = [4, 3] }",
                        "steps = 6\nclip = 0\nwarmup = 0\n"));
  REQUIRE_MESSAGE(result.code == 0, result.err);
  int finished = 0, diverged = 0, failed = 0;
  for (const StudyTrial& trial : trials(place)) {
    if (std::get<int64_t>(trial.point.at("heads")) == 3) {
      ++failed;
      CHECK(trial.state == TrialState::failed);
      CHECK(trial.reason == "model: width 32 is not a multiple of heads 3");
    } else if (std::get<double>(trial.point.at("lr")) > 1) {
      ++diverged;
      CHECK(trial.state == TrialState::diverged);
      CHECK(trial.reason.starts_with("step 2: the loss is nan"));
    } else {
      ++finished;
      CHECK(trial.state == TrialState::finished);
    }
  }
  CHECK(finished == 1);
  CHECK(diverged == 1);
  CHECK(failed == 2);
  CHECK(result.out.find("  1 x step 2: the loss is nan") != std::string::npos);
}

TEST_CASE("bad trials are pruned") {
  const Workplace place;
  const Finished result =
      tune(place, study("sampler = \"grid\"\npruner = { kind = \"asha\", min-steps = 4, reduction = 2 }",
                        "lr = { choice = [1e-6, 2e-6, 3e-6, 1e-2, 2e-2, 3e-2] }", "steps = 20\n"));
  REQUIRE_MESSAGE(result.code == 0, result.err);
  const auto all = trials(place);
  REQUIRE(all.size() == 6);
  const int pruned = count(all, TrialState::pruned);
  CHECK(pruned >= 2);
  CHECK(pruned + count(all, TrialState::finished) == 6);
  for (const StudyTrial& trial : all)
    if (trial.state == TrialState::pruned) {
      CHECK(trial.steps < 20);
      CHECK(trial.value.has_value());
      CHECK(trial.reports.back().step == trial.steps);
      CHECK(trial.rungs >= 1);
    }
  CHECK(std::get<double>(best_trial(all, StudyMetric::validation_loss)->point.at("lr")) >= 1e-2);
}

TEST_CASE("kill -9 at random moments loses nothing that has ended, and changes no trial") {
  kill_and_resume({"--jobs", "2"});
}

TEST_CASE("Ctrl-C stops, says how to go on, and that goes on") {
  const Workplace place;
  write_file_atomically(
      place.path / "study.toml",
      study("[budget]\ntrials = 2", "lr = { log-uniform = [1e-3, 1e-2] }", "steps = 1000000\n"));
  {
    Child child(place.path, {"tune", "study.toml", "--out", "study"});
    wait_until([&] { return place.steps_done("study/trials/0") >= 3; });
    child.send(SIGINT);
    const Finished ended = child.wait();
    CHECK(ended.code == 130);
    CHECK(ended.out.ends_with("Stopped. This goes on:\n  galvan tune --out study --resume\n"));
  }
  const int64_t done = place.steps_done("study/trials/0");
  CHECK(place.has("study/trials/0/checkpoints/" + number(done) + "/training.json"));
  auto all = trials(place);
  REQUIRE(all.size() == 1);
  CHECK(all[0].state == TrialState::running);
  CHECK(!all[0].worked_on);
  Child child(place.path, {"tune", "--out", "study", "--resume"});
  wait_until([&] { return place.steps_done("study/trials/0") >= done + 3; });
  CHECK(trials(place)[0].worked_on);
  child.send(SIGTERM);
  const Finished ended = child.wait();
  CHECK(ended.code == 143);
  CHECK(ended.out.find("trial 0 goes on: lr=") != std::string::npos);
}

TEST_CASE("two processes work on one study") {
  const Workplace place;
  std::filesystem::create_directory(place.path / "elsewhere");
  write_file_atomically(
      place.path / "study.toml",
      study("[budget]\ntrials = 10", "lr = { log-uniform = [1e-3, 1e-1] }", "steps = 30\n"));
  Child first(place.path, {"tune", "study.toml", "--out", "study"});
  wait_until([&] { return place.has("study/trials/0/metrics.jsonl"); });
  Child second(place.path / "elsewhere", {"tune", "--out", "../study", "--resume"});
  const Finished ends[] = {first.wait(), second.wait()};
  int begun = 0;
  for (const Finished& end : ends) {
    CHECK_MESSAGE(end.code == 0, end.err);
    int here = 0;
    for (size_t at = 0; (at = end.out.find(" begins: ", at)) != std::string::npos; ++at) ++here;
    CHECK(here >= 1);
    begun += here;
  }
  CHECK(begun == 10);
  const auto all = trials(place);
  CHECK(all.size() == 10);
  CHECK(count(all, TrialState::finished) == 10);
}

TEST_CASE("of two processes that begin one study at once, one does") {
  const Workplace place;
  write_file_atomically(place.path / "study.toml", study("sampler = \"grid\"", kFour));
  Child first(place.path, {"tune", "study.toml", "--out", "study"});
  Child second(place.path, {"tune", "study.toml", "--out", "study"});
  const Finished ends[] = {first.wait(), second.wait()};
  CHECK(ends[0].code + ends[1].code == 1);
  const Finished& refused = ends[ends[0].code == 1 ? 0 : 1];
  const bool told = refused.err == "galvan: another process is beginning a study in study\n" ||
                    refused.err.starts_with("galvan: study holds a study already: ");
  CHECK_MESSAGE(told, refused.err);
  CHECK(count(trials(place), TrialState::finished) == 4);
}

TEST_CASE("a budget of steps, and one of minutes") {
  const Workplace place;
  const std::string vary = "lr = { log-uniform = [1e-3, 1e-2] }";
  REQUIRE(tune(place, study("[budget]\nsteps = 25", vary)).code == 0);  // of 12 steps each
  CHECK(count(trials(place), TrialState::finished) == 3);
  std::filesystem::remove_all(place.path / "study");
  REQUIRE(tune(place, study("[budget]\nminutes = 1e-6", vary)).code == 0);
  CHECK(trials(place).size() <= 1);  // the session's first moment takes longer than that
}

TEST_CASE("a study all of whose trials fail ends") {
  const Workplace place;
  const Finished result =
      tune(place, study("[budget]\nsteps = 1000", "heads = { choice = [3, 5] }"), {"--jobs", "2"});
  CHECK(result.code == 1);
  CHECK_MESSAGE(result.err.find("the last 10 trials failed before their first step: model: width 32 is not a "
                                "multiple of heads ") != std::string::npos,
                result.err);
  CHECK(trials(place).size() <= 12);
}

TEST_CASE("a loss that is not a number is kept as such, and is the worst of all") {
  const Workplace place;
  StudyStore::create(place.path / "study",
                     study("pruner = { kind = \"asha\", min-steps = 4, reduction = 2 }\n[budget]\ntrials = 4",
                           "lr = { log-uniform = [1e-3, 1e-2] }"));
  StudyStore store(place.path / "study");
  const auto sampler = make_sampler(store.study().space, store.study().sampler);
  const auto pruner = make_pruner(store.study().pruner);
  for (int64_t i = 0; i < 3; ++i) REQUIRE(store.claim(*sampler)->number == i);
  CHECK(!store.report(0, {4, 2.0, 0.5, 1}, pruner.get()));
  CHECK(!store.report(1, {4, 1.0, 0.5, 1}, pruner.get()));
  constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
  CHECK(store.report(2, {4, kNan, kNan, 1}, pruner.get()));
  const auto all = store.trials();
  CHECK(all[2].state == TrialState::pruned);
  REQUIRE(all[2].reports.size() == 1);
  CHECK(std::isnan(all[2].reports[0].loss));
  CHECK(!all[2].value.has_value());
}

TEST_CASE("other metrics") {
  const Workplace place;
  REQUIRE(tune(place, study("metric = \"accuracy\"\nsampler = \"grid\"", kFour)).code == 0);
  const auto all = trials(place);
  const StudyTrial& best = *best_trial(all, StudyMetric::accuracy);
  for (const StudyTrial& trial : all)
    for (const StudyReport& report : trial.reports) {
      CHECK(report.accuracy <= best.value);
      CHECK(report.accuracy <= trial.value);
    }
  std::filesystem::remove_all(place.path / "study");

  // Reached at the first evaluation, which ends the trial.
  const std::string many = "steps = 1000000\n";
  const Finished soon =
      tune(place, study("metric = \"time-to-loss\"\ntarget = 100\nsampler = \"grid\"", kFour, many));
  REQUIRE_MESSAGE(soon.code == 0, soon.err);
  for (const StudyTrial& trial : trials(place)) {
    CHECK(trial.state == TrialState::finished);
    CHECK(trial.value > 0);
    CHECK(trial.value == trial.reports[0].seconds);
  }
  std::filesystem::remove_all(place.path / "study");

  const Finished never =
      tune(place, study("metric = \"time-to-loss\"\ntarget = 0.01\nsampler = \"grid\"", kFour));
  CHECK(never.code == 1);
  CHECK(never.out.find("4 x never came to a loss of 0.01\nNo trial has finished with a value.\n") !=
        std::string::npos);
}

TEST_CASE("mistakes on the command line") {
  const Workplace place;
  const auto refused = [&](std::vector<std::string> arguments, const std::string& message) {
    arguments.insert(arguments.begin(), "tune");
    const Finished result = place.run(arguments);
    CHECK(result.code == 2);
    CHECK(result.err == "galvan: " + message + "; `galvan tune --help` shows the options\n");
  };
  refused({}, "tune needs --out, the study's folder");
  refused({"--out", "x"}, "tune needs a study, a TOML file; or --resume, to go on with the one in --out");
  refused({"a", "b", "--out", "x"}, "one study at a time; what is 'b' for?");
  refused({"a", "--out", "x", "--resume"},
          "--resume takes the study that is in --out; a has no place beside it");
  refused({"show"}, "show needs a study's folder: galvan tune show FOLDER");
  refused({"show", "x", "--jobs", "2"}, "--jobs does nothing with show");
  CHECK(place.run({"tune", "show", "none"}).err == "galvan: none holds no study\n");
  CHECK(place.run({"tune", "none.toml", "--out", "x"}).err ==
        "galvan: cannot read none.toml: No such file or directory\n");
  write_file_atomically(
      place.path / "textless.toml",
      "sampler = \"grid\"\n[fixed]\ndata = \"none.txt\"\n[vary]\nlr = { choice = [1e-3] }\n");
  CHECK(place.run({"tune", "textless.toml", "--out", "x"}).err ==
        "galvan: cannot read none.txt: No such file or directory\n");
  const Finished bad = tune(place, study("metric = \"loss\"", kFour));
  CHECK(bad.code == 1);
  CHECK(bad.err.starts_with("galvan: study.toml:1: metric: there is no 'loss'"));
  CHECK(!place.has("study"));
}

TEST_CASE("the table of a study that runs") {
  const Study s =
      parse_study(study("[budget]\ntrials = 10", "lr = { log-uniform = [1e-3, 1e-1] }"), "s.toml");
  std::vector<StudyTrial> all(4);
  for (int64_t i = 0; i < 4; ++i) {
    all[static_cast<size_t>(i)].number = i;
    all[static_cast<size_t>(i)].point = {{"lr", 0.00123456 * static_cast<double>(i + 1)}};
  }
  all[0].state = TrialState::finished, all[0].value = 2.5, all[0].steps = 12;
  all[1].state = TrialState::diverged, all[1].reason = "step 2: the loss is nan", all[1].steps = 1;
  all[2].worked_on = true, all[2].reports = {{4, 3.25, 0.1, 1.0}};
  const auto lines = tune_table(
      s, all, {{.number = 2, .step = 5, .steps = 12, .loss = 3.5, .tokens_per_second = 12345}}, 0.5, 100);
  REQUIRE(lines.size() == 7);
  CHECK(lines[0] == "trials 4/10  2 running  1 finished  1 diverged  12,345 tokens/s  about 1:17 left");
  CHECK(lines[1] == "best   trial 0, validation-loss 2.5000  lr=0.001235");
  CHECK(lines[2] == "trial  state            step      loss      best  parameters");
  CHECK(lines[3] == "    0  finished           12              2.5000  lr=0.001235");
  CHECK(lines[4] == "    1  diverged            1                      step 2: the loss is nan");
  CHECK(lines[5] == "    2  running          5/12    3.5000    3.2500  lr=0.003704");
  CHECK(lines[6] == "    3  waiting                                    lr=0.004938");
  for (const std::string& line : tune_table(s, all, {}, 0, 30)) CHECK(line.size() <= 30);
}

TEST_CASE("importance of parameters, those that are not always there too") {
  const Study s =
      parse_study(study("[budget]\ntrials = 10",
                        "lr = { uniform = [0.1, 0.2] }\noptimizer = { choice = [\"sgd\", \"adamw\"] }\n"
                        "beta1 = { uniform = [0, 1], when = { optimizer = \"adamw\" } }"),
                  "s.toml");
  std::vector<StudyTrial> all;
  for (int64_t i = 0; i < 200; ++i) {
    const double u = static_cast<double>(i) / 199, v = std::fmod(static_cast<double>(i) * 0.618, 1);
    StudyTrial trial{.number = i, .state = i % 3 == 0 ? TrialState::pruned : TrialState::finished};
    trial.point = {{"lr", 0.1 + 0.1 * v}, {"optimizer", i % 2 == 0 ? "sgd"s : "adamw"s}};
    if (i % 2 == 1) trial.point["beta1"] = u;
    trial.value = v + (i % 2 == 1 ? 5 * u : 2.5);
    all.push_back(trial);
  }
  all[0].value.reset();
  const auto found = parameter_importance(s, all);
  REQUIRE(found.size() == 3);
  CHECK(found[0].name == "beta1");
  CHECK(found[0].among_some);
  CHECK(found[0].share > 0.8);
  CHECK(found[1].name == "lr");
  CHECK(!found[1].among_some);
  CHECK(found[2].share < 0.2);
}
