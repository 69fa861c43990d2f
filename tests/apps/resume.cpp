// Runs that are cut off go on as if nothing had happened.
#include <doctest/doctest.h>

#include <cstdlib>
#include <nlohmann/json.hpp>

#include "core/random.h"
#include "tests/apps/command.h"

using namespace galvan;

namespace {

std::vector<std::string> resume(const std::string& out) { return {"train", "--out", out, "--resume"}; }

// A run that no kill can miss. Its first steps are those of a shorter one: its schedule knows of no end.
std::vector<std::string> endless(const std::string& out) {
  return Workplace::train(out, {"--steps", "1000000", "--schedule", "cyclic", "--max-lr", "0.01",
                                "--step-size-up", "5", "--average-cycles", "--eval-every", "12",
                                "--save-every", "7", "--dropout", "0.1", "--accumulate", "2"});
}

bool is_saving(const Workplace& place, const std::string& run) {
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(place.path / run / "checkpoints", ignored))
    if (entry.path().extension() == ".partial") return true;
  return false;
}

}  // namespace

TEST_CASE("killed again and again and resumed, a run ends in the same bits") {
  const Workplace place;
  // Goes on with the run, and kills it as soon as the condition holds.
  const auto go_on_until = [&](const auto& condition) {
    // Before the folder has a configuration there is nothing to resume yet.
    Child child(place.path, place.has("cut/config.toml") ? resume("cut") : endless("cut"));
    wait_until([&] { return condition(child); });
    child.send(SIGKILL);
    CHECK(child.wait().code == -SIGKILL);
  };
  // At random moments, from the start of the process on.
  const int kills = 20;
  double to_three_steps = 0;
  go_on_until([&](const Child& child) {
    to_three_steps = child.processor_time();
    return place.steps_done("cut") >= 3;
  });
  for (int kill = 0; kill < kills; ++kill) {
    const double moment =
        3 * to_three_steps * uniform_from(philox({static_cast<uint32_t>(kill), 0, 0, 0}, {1, 2})[0]);
    go_on_until([&](const Child& child) { return child.processor_time() >= moment; });
  }
  // In the middle of a checkpoint, but not of the first.
  go_on_until([&](const Child& child) {
    if (!place.has("cut/current") || !is_saving(place, "cut")) return false;
    child.pause();
    if (is_saving(place, "cut")) return true;
    child.send(SIGCONT);
    return false;
  });
  CHECK(is_saving(place, "cut"));
  const std::string steps = std::to_string(place.steps_done("cut") + 5);
  const Finished last = place.run({"train", "--out", "cut", "--resume", "--steps", steps});
  REQUIRE_MESSAGE(last.code == 0, last.err);
  CHECK(last.out.find("\nGoing on after step ") != std::string::npos);
  CHECK(!is_saving(place, "cut"));

  std::vector<std::string> whole = endless("whole");
  whole.insert(whole.end(), {"--steps", steps});
  REQUIRE(place.run(whole).code == 0);
  check_equal_runs(place, "whole", "cut");
  for (const char* file : {"average/model.safetensors", "cycles.json"})
    CHECK_MESSAGE(place.read("whole/" + std::string(file)) == place.read("cut/" + std::string(file)), file);
}

TEST_CASE("patience ends a run that gets no better, and a larger one goes on") {
  const Workplace place;
  // A step this small changes no weight: no evaluation is better than the first.
  const auto train =
      Workplace::train("run", {"--lr", "1e-30", "--weight-decay", "0", "--schedule", "constant", "--steps",
                               "1000", "--eval-every", "2", "--patience", "3"});
  const Finished ended = place.run(train);
  CHECK_MESSAGE(ended.code == 0, ended.err);
  CHECK(place.steps_done("run") == 8);
  CHECK(ended.out.find("\nStopped early: 3 evaluations without a better one.\nFinished after 8 steps. Best "
                       "validation loss: ") != std::string::npos);
  CHECK(ended.out.find(", at step 2.\n") != std::string::npos);
  CHECK(place.has("run/loss.svg"));
  CHECK(std::filesystem::read_symlink(place.path / "run/current") == "checkpoints/8");
  CHECK(std::filesystem::read_symlink(place.path / "run/best") == "checkpoints/2");

  const Finished again = place.run(resume("run"));
  CHECK(again.code == 0);
  CHECK(again.out ==
        "The run in run has ended: 3 evaluations without a better one. A larger --patience goes on.\n");
  const Finished more = place.run({"train", "--out", "run", "--resume", "--patience", "4"});
  CHECK(more.code == 0);
  CHECK(place.steps_done("run") == 10);
  const auto records = place.metrics("run");
  CHECK(
      std::any_of(records.begin(), records.end(), [](const auto& record) { return record.at("step") == 9; }));
}

TEST_CASE("a finished run says so, and goes on with more steps") {
  const Workplace place;
  REQUIRE(place.run(Workplace::train("run")).code == 0);
  const Finished again = place.run(resume("run"));
  CHECK(again.code == 0);
  CHECK(again.out ==
        "The run in run is finished: it has done its 12 steps. --steps with a larger number goes on, "
        "under the schedule that they give.\n");
  const Finished more = place.run({"train", "--out", "run", "--resume", "--steps", "15"});
  CHECK_MESSAGE(more.code == 0, more.err);
  CHECK(place.has("run/checkpoints/15"));
  const Finished fewer = place.run({"train", "--out", "run", "--resume", "--steps", "5"});
  CHECK(fewer.code == 1);
  CHECK(fewer.err == "galvan: resume: the checkpoint is at step 15, past the 5 steps of this run\n");
}

TEST_CASE("a run whose link to its last checkpoint is lost goes on from there") {
  const Workplace place;
  for (const char* run : {"whole", "cut"}) REQUIRE(place.run(Workplace::train(run)).code == 0);
  std::filesystem::remove(place.path / "cut/current");
  for (const char* run : {"whole", "cut"}) {
    const Finished result = place.run({"train", "--out", run, "--resume", "--steps", "15"});
    REQUIRE_MESSAGE(result.code == 0, result.err);
    CHECK(result.out.find("\nGoing on after step 12.\n") != std::string::npos);
  }
  check_equal_runs(place, "whole", "cut");
}

TEST_CASE("a configuration that its checkpoint contradicts") {
  const Workplace place;
  REQUIRE(place.run(Workplace::train("run")).code == 0);
  std::string config = place.read("run/config.toml");
  for (const std::string heads : {"\nheads = 2\n", "\nkv-heads = 2\n"})  // no weight's shape depends on them
    config.replace(config.find(heads), heads.size(), heads.substr(0, heads.size() - 2) + "4\n");
  write_file_atomically(place.path / "run/config.toml", config);
  const std::string weights = place.read("run/current/model.safetensors");
  const Finished result = place.run({"train", "--out", "run", "--resume", "--steps", "15"});
  CHECK(result.code == 1);
  CHECK(result.err == "galvan: run/current: heads is 2, but 4 was asked for\n");
  CHECK(place.read("run/current/model.safetensors") == weights);
}

TEST_CASE("fewer steps than the run's warm-up has") {
  const Workplace place;
  REQUIRE(place.run(Workplace::train("run", {"--warmup", "10"})).code == 0);
  const Finished again = place.run({"train", "--config", "run/config.toml", "--steps", "8", "--out", "new"});
  CHECK(again.code == 1);
  CHECK(again.err ==
        "galvan: --warmup: a rise of 10 steps does not fit into a run of 8; give a shorter one, such as 0\n");
  const Finished resumed = place.run({"train", "--out", "run", "--resume", "--steps", "8"});
  CHECK(resumed.err == "galvan: resume: the checkpoint is at step 12, past the 8 steps of this run\n");
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
  std::string training = place.read("run/checkpoints/12/training.json"), between = training;
  between.replace(between.find("\"step\": 12"), 10, "\"step\": 11.5");
  with("training.json", between,
       [&] { expect(go_on, "training.json: step 11.5 is no whole number from 0 on"); });
  training.replace(training.find("\"format_version\": 1"), 19, "\"format_version\": 2");
  with("training.json", training,
       [&] { expect(go_on, "training.json: format version 2 is newer than this program's 1"); });
  with("training.json", "{", [&] { expect(go_on, "training.json: not a JSON object"); });
  const std::string weights = place.read("run/checkpoints/12/model.safetensors");
  with("model.safetensors", weights.substr(0, weights.size() / 2), [&] {
    for (const auto& command : {sample, go_on, {"info", "--checkpoint", "run"}})
      expect(command, "model.safetensors: not a safetensors file: ");
  });
  with("model.safetensors", "not weights", [&] { expect(sample, "model.safetensors"); });
  with("config.json", "{\"model_type\": \"bert\"}", [&] { expect(sample, "config.json"); });
  with("tokenizer.json", "[]", [&] { expect(sample, "tokenizer"); });
}
