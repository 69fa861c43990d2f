// Runs that are cut off go on as if nothing had happened.
#include <doctest/doctest.h>

#include <chrono>
#include <nlohmann/json.hpp>
#include <random>
#include <sstream>
#include <thread>

#include "tests/apps/command.h"

using namespace galvan;

namespace {

// metrics.jsonl without what a clock says.
std::string metrics(const Workplace& place, const std::string& run) {
  std::string text;
  std::istringstream lines(place.read(run + "/metrics.jsonl"));
  for (std::string line; std::getline(lines, line);) {
    auto record = nlohmann::ordered_json::parse(line);
    record.erase("seconds");
    text += record.dump() + "\n";
  }
  return text;
}

void check_equal_runs(const Workplace& place, const std::string& a, const std::string& b) {
  CHECK(metrics(place, a) == metrics(place, b));
  for (const char* file : {"current/model.safetensors", "current/optimizer.safetensors",
                           "current/training.json", "best/model.safetensors", "samples.txt"})
    CHECK_MESSAGE(place.read(a + "/" + file) == place.read(b + "/" + file), file);
}

std::vector<std::string> long_run(const std::string& out) {
  return Workplace::train(out, {"--steps", "60", "--eval-every", "8", "--save-every", "7", "--dropout", "0.1",
                                "--accumulate", "2"});
}

std::vector<std::string> resume(const std::string& out) { return {"train", "--out", out, "--resume"}; }

void sleep_ms(int milliseconds) { std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds)); }

// Waits until the run has done its first steps.
void wait_for_steps(const Workplace& place, const std::string& run) {
  for (int i = 0; i < 2000; ++i) {
    if (place.has(run + "/metrics.jsonl") && place.read(run + "/metrics.jsonl").size() > 1000) return;
    sleep_ms(5);
  }
  FAIL("the run did not begin");
}

}  // namespace

TEST_CASE("killed at any moment and resumed, a run ends in the same bits") {
  const Workplace place;
  REQUIRE(place.run(long_run("whole")).code == 0);
  std::mt19937 random(11);
  Finished last = {.code = -SIGKILL, .out = {}, .err = {}};
  int kills = 0;
  for (; kills < 4 && last.code == -SIGKILL; ++kills) {
    // Before the folder is complete there is nothing to resume yet.
    Child child(place.path, place.has("cut/config.toml") ? resume("cut") : long_run("cut"));
    wait_for_steps(place, "cut");
    sleep_ms(static_cast<int>(random() % 150));
    child.send(SIGKILL);
    last = child.wait();
  }
  CHECK_MESSAGE(kills >= 1, "never killed in time");
  if (last.code == -SIGKILL) last = place.run(resume("cut"));
  CHECK_MESSAGE(last.code == 0, last.err);
  check_equal_runs(place, "whole", "cut");
}

TEST_CASE("a signal saves and says how to go on") {
  const Workplace place;
  for (const auto& [signal, code] : {std::pair{SIGINT, 130}, std::pair{SIGTERM, 143}}) {
    const std::string run = "run " + std::to_string(signal);
    Child child(place.path,
                Workplace::train(run, {"--steps", "100000", "--eval-every", "0", "--save-every", "0"}));
    wait_for_steps(place, run);
    child.send(signal);
    const Finished ended = child.wait();
    CHECK(ended.code == code);
    CHECK(ended.err == "");
    CHECK(ended.out.find("This goes on:\n  galvan train --out '" + run + "' --resume\n") !=
          std::string::npos);
    CHECK(place.has(run + "/current/training.json"));
  }
}

TEST_CASE("a finished run says so, and goes on with more steps") {
  const Workplace place;
  REQUIRE(place.run(Workplace::train("run")).code == 0);
  const Finished again = place.run(resume("run"));
  CHECK(again.code == 0);
  CHECK(again.out ==
        "The run in run is finished: it has done its 12 steps. --steps with a larger number goes on.\n");
  const Finished more = place.run({"train", "--out", "run", "--resume", "--steps", "15"});
  CHECK_MESSAGE(more.code == 0, more.err);
  CHECK(place.has("run/checkpoints/15"));
  const Finished fewer = place.run({"train", "--out", "run", "--resume", "--steps", "5"});
  CHECK(fewer.code == 1);
  CHECK(fewer.err == "galvan: resume: the checkpoint is at step 15, past the 5 steps of this run\n");
}

TEST_CASE("a run is not resumed with another text") {
  const Workplace place;
  REQUIRE(place.run(Workplace::train("run")).code == 0);
  write_file_atomically(place.path / "text.txt", place.read("text.txt") + "The cat sat.\n");
  const Finished result = place.run({"train", "--out", "run", "--resume", "--steps", "15"});
  CHECK(result.code == 1);
  CHECK(result.err.find("is not the text that the run in run learns from") != std::string::npos);
}

TEST_CASE("NaN ends the run with its cause, and the last good weights") {
  const Workplace place;
  const Finished result =
      place.run(Workplace::train("run", {"--lr", "1e30", "--clip", "0", "--warmup", "0"}));
  CHECK(result.code == 1);
  CHECK(result.err.starts_with("galvan: step 2: the loss is nan"));
  CHECK(result.err.find("First bad value: linear") != std::string::npos);
  CHECK(result.err.find("saved in run/current; a lower learning rate or --clip 1 may help\n") !=
        std::string::npos);
  CHECK(place.has("run/checkpoints/1/model.safetensors"));
}

TEST_CASE("corrupt, cut and newer checkpoints are refused by name") {
  const Workplace place;
  REQUIRE(place.run(Workplace::train("run")).code == 0);
  const auto expect = [&](const std::vector<std::string>& arguments, const std::string& part) {
    const Finished result = place.run(arguments);
    CHECK(result.code == 1);
    CHECK_MESSAGE(result.err.find(part) != std::string::npos, result.err);
    CHECK(std::count(result.err.begin(), result.err.end(), '\n') == 1);
  };
  const std::vector<std::string> go_on = {"train", "--out", "run", "--resume", "--steps", "15"};
  const std::vector<std::string> sample = {"sample", "--checkpoint", "run"};
  const auto with = [&](const std::string& file, const std::string& bytes, const auto& test) {
    const std::string name = "run/checkpoints/12/" + file, before = place.read(name);
    write_file_atomically(place.path / name, bytes);
    test();
    write_file_atomically(place.path / name, before);
  };
  std::string training = place.read("run/checkpoints/12/training.json");
  training.replace(training.find("\"format_version\": 1"), 19, "\"format_version\": 2");
  with("training.json", training,
       [&] { expect(go_on, "training.json: format version 2 is newer than this program's 1"); });
  with("training.json", "{", [&] { expect(go_on, "training.json: not a JSON object"); });
  const std::string weights = place.read("run/checkpoints/12/model.safetensors");
  with("model.safetensors", weights.substr(0, weights.size() / 2), [&] {
    expect(sample, "model.safetensors");
    expect(go_on, "model.safetensors");
  });
  with("model.safetensors", "not weights", [&] { expect(sample, "model.safetensors"); });
  with("config.json", "{\"model_type\": \"bert\"}", [&] { expect(sample, "config.json"); });
  with("tokenizer.json", "[]", [&] { expect(sample, "tokenizer"); });
}
