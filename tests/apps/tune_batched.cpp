// `galvan tune --batched`: studies whose trials are replicas in one process.
#include <doctest/doctest.h>

#include <sstream>

#include "tests/apps/studies.h"

using namespace galvan;

namespace {

// The one process of a study's replicas.
pid_t replicas_of(const Child& study) {
  wait_until([&] { return !study.children().empty(); });
  const std::vector<pid_t> children = study.children();
  REQUIRE(children.size() == 1);
  return children.front();
}

int times(const std::string& text, const std::string& part) {
  int n = 0;
  for (size_t at = 0; (at = text.find(part, at)) != std::string::npos; at += part.size()) ++n;
  return n;
}

}  // namespace

TEST_CASE("trials trained together, of other sizes too, are what galvan train does alone") {
  const Workplace place;
  const Finished result = tune(place,
                               study("sampler = \"grid\"",
                                     "lr = { choice = [1e-3, 1e-2] }\nmlp-width = { choice = [64, 96] }\n"
                                     "optimizer = { choice = [\"sgd\", \"adamw\"] }",
                                     "steps = 12\ndropout = 0.1\n"),
                               {"--batched", "5", "--threads", "2"});
  REQUIRE_MESSAGE(result.code == 0, result.err);
  const auto all = trials(place);
  REQUIRE(all.size() == 8);
  for (const StudyTrial& trial : all) {
    CAPTURE(trial.number);
    CHECK(trial.state == TrialState::finished);
    CHECK(trial.steps == 12);
    CHECK(trial.reports.size() == 3);
    const std::string run = "study/trials/" + number(trial.number), alone = "runs/" + number(trial.number);
    REQUIRE(place.run({"train", "--config", run + "/options.toml", "--out", alone}).code == 0);
    check_equal_runs(place, run, alone);
    for (const char* file : {"config.toml", "loss.svg", "report.html"})
      CHECK_MESSAGE(place.has(run + "/" + file), file);
    // The command that would have done it.
    CHECK(place.read(run + "/sessions.jsonl").find("\"command\":\"galvan train --out ") != std::string::npos);
  }
}

TEST_CASE("what one process has one of is not varied") {
  const Workplace place;
  const Finished refused =
      tune(place, study("sampler = \"grid\"", "tf32 = { choice = [true, false] }"), {"--batched", "2"});
  CHECK(refused.code == 1);
  CHECK(refused.err ==
        "galvan: --batched trains all trials in one process, for all of which tf32 is one; this study varies "
        "it\n");
}

TEST_CASE("replicas that diverge or fail are told with their reason, and touch no other") {
  const Workplace place;
  const Finished result =
      tune(place,
           study("sampler = \"grid\"", "lr = { choice = [1e-2, 1e30] }\nheads = { choice = [4, 3] }",
                 "steps = 6\nclip = 0\nwarmup = 0\n"),
           {"--batched", "4"});
  REQUIRE_MESSAGE(result.code == 0, result.err);
  const auto all = trials(place);
  CHECK(count(all, TrialState::finished) == 1);
  for (const StudyTrial& trial : all) {
    if (std::get<int64_t>(trial.point.at("heads")) == 3) {
      CHECK(trial.state == TrialState::failed);
      CHECK(trial.reason == "model: width 32 is not a multiple of heads 3");
    } else if (std::get<double>(trial.point.at("lr")) > 1) {
      CHECK(trial.state == TrialState::diverged);
      CHECK(trial.reason.starts_with("step 2: the loss is nan"));
    } else {
      const std::string run = "study/trials/" + number(trial.number);
      REQUIRE(place.run({"train", "--config", run + "/options.toml", "--out", "alone"}).code == 0);
      check_equal_runs(place, run, "alone");
    }
  }
}

TEST_CASE("the place of a replica that is pruned is given to another trial") {
  const Workplace place;
  const Finished result =
      tune(place,
           study("sampler = \"grid\"\npruner = { kind = \"asha\", min-steps = 4, reduction = 2 }",
                 "lr = { choice = [1e-6, 2e-6, 3e-6, 1e-2, 2e-2, 3e-2] }", "steps = 400\n"),
           {"--batched", "2"});
  REQUIRE_MESSAGE(result.code == 0, result.err);
  const auto all = trials(place);
  REQUIRE(all.size() == 6);
  CHECK(count(all, TrialState::pruned) >= 2);
  CHECK(count(all, TrialState::pruned) + count(all, TrialState::finished) == 6);
  // Two at a time, by the order of the lines: after the second, one begins for one that ends.
  std::istringstream lines(result.out);
  int running = 0, begun = 0;
  for (std::string line; std::getline(lines, line);) {
    if (line.find(" pruned after ") != std::string::npos ||
        line.find(" finished after ") != std::string::npos)
      --running;
    if (line.find(" begins: ") == std::string::npos) continue;
    CHECK(running == (begun == 0 ? 0 : 1));
    ++running, ++begun;
  }
  CHECK(begun == 6);
  CHECK(running == 0);
}

TEST_CASE("kill -9 of a study with replicas loses nothing that has ended, and changes no trial") {
  kill_and_resume({"--batched", "3"});
}

TEST_CASE("where the process of several replicas dies, each goes on by itself") {
  const Workplace place;
  const std::string text = study("sampler = \"grid\"", kFour, "steps = 120\nsave-every = 10\n");
  write_file_atomically(place.path / "study.toml", text);
  Child child(place.path, {"tune", "study.toml", "--out", "study", "--batched", "4"});
  wait_until([&] { return place.steps_done("study/trials/3") >= 20; });
  ::kill(replicas_of(child), SIGKILL);
  const Finished result = child.wait();
  REQUIRE_MESSAGE(result.code == 0, result.err);
  CHECK(times(result.out, " goes on by itself: killed by signal 9") >= 2);
  const auto all = trials(place);
  CHECK(count(all, TrialState::finished) == 4);
  for (const StudyTrial& trial : all) CHECK(trial.steps == 120);
}

TEST_CASE("a replica alone in its process is the one that ended it") {
  const Workplace place;
  write_file_atomically(
      place.path / "study.toml",
      study("[budget]\ntrials = 1", "lr = { log-uniform = [1e-3, 1e-2] }", "steps = 1000000\n"));
  Child child(place.path, {"tune", "study.toml", "--out", "study", "--batched", "4"});
  wait_until([&] { return place.steps_done("study/trials/0") >= 3; });
  ::kill(replicas_of(child), SIGKILL);
  CHECK(child.wait().code == 1);
  const auto all = trials(place);
  REQUIRE(all.size() == 1);
  CHECK(all[0].state == TrialState::failed);
  CHECK(all[0].reason == "killed by signal 9 (Killed), as the system does when memory runs out");
}

TEST_CASE("Ctrl-C saves all replicas, and resuming takes all of them up") {
  const Workplace place;
  write_file_atomically(
      place.path / "study.toml",
      study("[budget]\ntrials = 3", "lr = { log-uniform = [1e-3, 1e-2] }", "steps = 1000000\n"));
  Child child(place.path, {"tune", "study.toml", "--out", "study", "--batched", "3"});
  wait_until([&] { return place.steps_done("study/trials/2") >= 3; });
  child.send(SIGINT);
  const Finished ended = child.wait();
  CHECK(ended.code == 130);
  CHECK(ended.out.ends_with("Stopped. This goes on:\n  galvan tune --out study --resume --batched 3\n"));
  int64_t done[3];
  for (int64_t i = 0; i < 3; ++i) {
    done[i] = place.steps_done("study/trials/" + number(i));
    CHECK(place.has("study/trials/" + number(i) + "/checkpoints/" + number(done[i]) + "/training.json"));
  }
  Child again(place.path, {"tune", "--out", "study", "--resume", "--batched", "3"});
  for (int64_t i = 0; i < 3; ++i)
    wait_until([&] { return place.steps_done("study/trials/" + number(i)) >= done[i] + 3; });
  again.send(SIGTERM);
  const Finished last = again.wait();
  CHECK(last.code == 143);
  CHECK(times(last.out, " goes on: lr=") == 3);

  const Finished both = place.run({"tune", "--out", "study", "--resume", "--batched", "2", "--jobs", "2"});
  CHECK(both.code == 2);
  CHECK(
      both.err.starts_with("galvan: --batched is one process of many trials; --jobs has no place beside it"));
}
