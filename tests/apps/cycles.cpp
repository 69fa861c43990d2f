// Runs of whole cycles: `--cycles`, and what is kept of their ends.
#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "tests/apps/command.h"

using namespace galvan;
using nlohmann::json;

namespace {

std::vector<std::string> cyclic(const std::string& out, std::vector<std::string> more = {}) {
  more.insert(more.begin(), {"--optimizer", "sgd", "--schedule", "cyclic", "--max-lr", "0.5", "--cycles", "3",
                             "--average-cycles", "--eval-every", "0", "--save-every", "2"});
  return Workplace::train(out, more);
}

}  // namespace

TEST_CASE("whole cycles, the average of their ends, and the same after a kill") {
  const Workplace place;
  const Finished whole = place.run(cyclic("whole"));
  CHECK(whole.err == "");
  REQUIRE(whole.code == 0);
  for (const char* file : {"cycles/4", "cycles/8", "cycles/12", "average"})
    CHECK_MESSAGE(place.has("whole/" + std::string(file) + "/model.safetensors"), file);
  CHECK(place.read("whole/cycles/12/model.safetensors") == place.read("whole/current/model.safetensors"));
  CHECK(place.read("whole/average/model.safetensors") != place.read("whole/current/model.safetensors"));
  const std::string record = place.read("whole/metrics.jsonl");
  for (const char* step : {"4", "8", "12"})
    CHECK_MESSAGE(record.find("{\"step\":" + std::string(step) + ",\"eval_loss\"") != std::string::npos,
                  step);

  const json losses = json::parse(place.read("whole/cycles.json"));
  CHECK(losses.at("cycles") == 3);
  const Finished evaluated = place.run(
      {"eval", "--checkpoint", "whole/average", "--data", "text.txt", "--validation", "0.1", "--json"});
  REQUIRE(evaluated.code == 0);
  CHECK(json::parse(evaluated.out).at("loss").get<double>() ==
        doctest::Approx(losses.at("average_loss").get<double>()).epsilon(1e-6));
  CHECK(losses.at("ensemble_loss").get<double>() > 0);
  CHECK(whole.out.find("\nThe average of 3 cycle ends is in whole/average. Its validation loss: ") !=
        std::string::npos);
  const std::string report = place.read("whole/report.html");
  for (const char* text : {"Averaged weights, loss", "Ensemble, loss", "of 3 cycle ends"})
    CHECK_MESSAGE(report.find(text) != std::string::npos, text);

  {
    Child child(place.path, cyclic("cut"));
    wait_until([&] { return place.steps_done("cut") >= 5 || !child.running(); });
    child.send(SIGKILL);
    child.wait();
  }
  const Finished resumed = place.run({"train", "--out", "cut", "--resume"});
  REQUIRE(resumed.code == 0);
  CHECK(place.read("cut/average/model.safetensors") == place.read("whole/average/model.safetensors"));
  CHECK(place.read("cut/cycles.json") == place.read("whole/cycles.json"));

  // Killed after the last step, while the average is made.
  std::filesystem::remove(place.path / "cut/cycles.json");
  CHECK(place.run({"train", "--out", "cut", "--resume"}).code == 0);
  CHECK(place.read("cut/cycles.json") == place.read("whole/cycles.json"));
  CHECK(place.run({"train", "--out", "cut", "--resume"}).out.find("is finished") != std::string::npos);
  // A longer run has other cycles, and keeps those that it had.
  CHECK(place.run({"train", "--out", "cut", "--resume", "--steps", "24"}).code == 0);
  CHECK(json::parse(place.read("cut/cycles.json")).at("cycles") == 5);
  for (const char* cycle : {"4", "8", "12", "16", "24"}) CHECK(place.has(std::string("cut/cycles/") + cycle));
}

TEST_CASE("what is not of the run's cycles is left alone") {
  const Workplace place;
  const auto keep = [&](const std::string& path) {
    std::filesystem::create_directories((place.path / path).parent_path());
    write_file_atomically(place.path / path, "mine");
  };
  for (const char* path :
       {"run/cycles/notes.txt", "run/cycles/7", "run/average/notes.txt", "run/cycles.json"})
    keep(path);
  REQUIRE(place.run(Workplace::train("run")).code == 0);
  REQUIRE(place.run({"train", "--out", "run", "--resume", "--steps", "16"}).code == 0);
  for (const char* path :
       {"run/cycles/notes.txt", "run/cycles/7", "run/average/notes.txt", "run/cycles.json"})
    CHECK_MESSAGE(place.read(path) == "mine", path);

  keep("other/average/notes.txt");
  CHECK(place.run(cyclic("other")).err ==
        "galvan: other/average is there already, and --average-cycles writes there: take another --out\n");
  CHECK(place.read("other/average/notes.txt") == "mine");

  REQUIRE(place
              .run(Workplace::train(
                  "late", {"--optimizer", "sgd", "--schedule", "cyclic", "--max-lr", "0.5", "--cycles", "3"}))
              .code == 0);
  const Finished late = place.run({"train", "--out", "late", "--resume", "--average-cycles"});
  CHECK(late.code == 0);
  CHECK(late.out.find("is finished") == std::string::npos);
  CHECK(late.out.find("\nNo model of a cycle's end is kept here, so there is no average.\n") !=
        std::string::npos);

  // Of a longer run that averages no more, the cycles and the average stay as they were.
  REQUIRE(place.run(cyclic("then")).code == 0);
  const std::string average = place.read("then/average/model.safetensors"),
                    cycles = place.read("then/cycles.json");
  REQUIRE(place.run({"train", "--out", "then", "--resume", "--no-average-cycles", "--steps", "24"}).code ==
          0);
  CHECK(place.read("then/average/model.safetensors") == average);
  CHECK(place.read("then/cycles.json") == cycles);
  CHECK(place.has("then/cycles/4"));
}

TEST_CASE("patience that counts cycles") {
  const Workplace place;
  // A step this small changes no weight: no evaluation is better than the first.
  const Finished ended = place.run(Workplace::train(
      "run", {"--optimizer", "sgd", "--schedule", "cyclic", "--max-lr", "1e-30", "--step-size-up", "3",
              "--steps", "600", "--eval-every", "2", "--patience", "2", "--patience-in-cycles"}));
  CHECK_MESSAGE(ended.code == 0, ended.err);
  CHECK(ended.out.find("\nStopped early: 2 cycles without a better one.\nFinished after 18 steps. ") !=
        std::string::npos);
  CHECK(place.run({"train", "--out", "run", "--resume"}).out ==
        "The run in run has ended: 2 cycles without a better one. A larger --patience goes on.\n");
}

TEST_CASE("cycles that do not fit") {
  const Workplace place;
  CHECK(place.run(cyclic("x", {"--cycles", "5"})).err ==
        "galvan: fit_cycles: 12 steps are not 5 whole cycles; take 10 or 15\n");
  CHECK(place.run(cyclic("x", {"--step-size-up", "2"}))
            .err.starts_with(
                "galvan: --cycles decides the step sizes; --step-size-up has no place beside it;"));
  CHECK(place.run(Workplace::train("x", {"--average-cycles"}))
            .err.starts_with("galvan: --average-cycles needs a schedule with cycles, of which a whole one "
                             "fits into the run;"));
  CHECK(place.run(Workplace::train("x", {"--patience-in-cycles"}))
            .err.starts_with("galvan: --patience-in-cycles is for --patience, which is 0;"));
  CHECK(
      place.run(Workplace::train("x", {"--patience", "2", "--patience-in-cycles"}))
          .err.starts_with("galvan: --patience-in-cycles needs a schedule with cycles, of which a whole one "
                           "fits into the run;"));
}

TEST_CASE("Smith's tail") {
  const Workplace place;
  const Finished csv = place.run(
      {"schedule", "--policy", "one-cycle", "--tail", "smith", "--max-lr", "1", "--steps", "100", "--csv"});
  REQUIRE(csv.code == 0);
  CHECK(csv.out.find("\n0,0.1") != std::string::npos);
  CHECK(csv.out.find("\n44,1,0.8") != std::string::npos);
  CHECK(csv.out.find("\n99,0.0001") != std::string::npos);
}
