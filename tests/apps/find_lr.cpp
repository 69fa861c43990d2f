// `galvan find-lr`, and the run that its schedule is for.
#include <doctest/doctest.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/apps/command.h"

using namespace galvan;
using nlohmann::json;

namespace {

std::vector<std::string> find(const std::string& out, std::vector<std::string> more = {}) {
  std::vector<std::string> arguments = {
      "find-lr", "--data",       "text.txt", "--out",     out,    "--optimizer", "sgd", "--layers",
      "2",       "--heads",      "2",        "--width",   "32",   "--context",   "16",  "--batch-size",
      "4",       "--test-steps", "60",       "--low",     "1e-3", "--seeds",     "2",   "--steps",
      "23",      "--cycles",     "2",        "--threads", "1"};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

struct Found : Workplace {
  Finished finished = run(find("found", {"--momentum-test", "--decay-test"}));
};

const Found& found() {
  static const Found place;
  return place;
}

std::vector<json> steps_of(const Workplace& place, const std::string& run) {
  std::vector<json> steps;
  std::istringstream lines(place.read(run + "/metrics.jsonl"));
  for (std::string line; std::getline(lines, line);)
    if (json record = json::parse(line); record.contains("loss")) steps.push_back(record);
  return steps;
}

}  // namespace

TEST_CASE("a range test leaves its curves and tells what it found") {
  const Found& place = found();
  CHECK(place.finished.err == "");
  REQUIRE(place.finished.code == 0);
  CHECK(place.read("found/find-lr.svg").starts_with("<svg"));
  CHECK(place.finished.out.find("24 steps, which are 2 whole cycles, and not 23.") != std::string::npos);
  CHECK(place.finished.out.find("train --config found/cyclic.toml\n") != std::string::npos);

  const json result = json::parse(place.read("found/find-lr.json"));
  REQUIRE(result.at("tests").size() == 3);
  const json& rate = result.at("tests")[0];
  CHECK(rate.at("of") == "learning rate");
  CHECK(result.at("tests")[1].at("of") == "momentum");
  CHECK(result.at("tests")[2].at("of") == "weight decay");
  CHECK(rate.at("values").size() == 60);
  CHECK(rate.at("values")[0] == 1e-3);
  CHECK(rate.at("values")[59] == 10);
  REQUIRE(rate.at("curves").size() == 2);
  CHECK(rate.at("curves")[0].at("seed") == 1337);
  CHECK(rate.at("curves")[1].at("seed") == 1338);
  CHECK(rate.at("curves")[0].at("losses")[0] != rate.at("curves")[1].at("losses")[0]);
  CHECK(rate.at("found").at("starts").get<double>() <= rate.at("found").at("slows").get<double>());
  CHECK(rate.at("found").at("slows").get<double>() <= rate.at("found").at("lowest").get<double>());
}

TEST_CASE("a range test leaves a page, and report makes it again") {
  const Found& place = found();
  const std::string html = place.read("found/report.html");
  for (const char* text : {"Range tests found", "Loss against learning rate", "Loss against momentum",
                           "Loss against weight decay", "median of 2 seeds", "Highest learning rate",
                           "<th>weight-decay</th>", "find-lr --data text.txt", "processor", "compiler"})
    CHECK_MESSAGE(html.find(text) != std::string::npos, text);
  const Finished again = place.run({"report", "found", "--html", "again.html"});
  CHECK(again.err == "");
  CHECK(place.read("again.html") == html);
  CHECK(place.run({"report", "found", "found"}).code == 2);
}

TEST_CASE("train takes the schedule as it is, and ends at a cycle's end") {
  const Found& place = found();
  const Finished trained = place.run({"train", "--config", "found/cyclic.toml", "--out", "cycles"});
  CHECK(trained.err == "");
  REQUIRE(trained.code == 0);
  const std::vector<json> steps = steps_of(place, "cycles");
  REQUIRE(steps.size() == 24);
  const double base = steps[0].at("lr"), max = steps[6].at("lr");
  CHECK(base < max);
  CHECK(steps[12].at("lr") == base);  // a foot
  CHECK(steps[18].at("lr") == max);
  CHECK(steps[6].at("momentum").get<double>() < steps[0].at("momentum").get<double>());
  CHECK(steps[23].at("lr").get<double>() == doctest::Approx(base + (max - base) / 6));
  const json rate = json::parse(place.read("found/find-lr.json")).at("tests")[0].at("found");
  CHECK(max == (rate.at("ragged").is_null() ? rate.at("lowest") : rate.at("ragged")).get<double>());
  CHECK(base <= rate.at("starts").get<double>());
  const std::string config = place.read("cycles/config.toml");
  CHECK(config.find("cycles = 2\n") != std::string::npos);
  CHECK(config.find("width = 32\n") != std::string::npos);
  CHECK(config.find("weight-decay = 0.0\n") == std::string::npos);

  // Another length of the run gets other step sizes.
  REQUIRE(place.run({"train", "--config", "found/cyclic.toml", "--steps", "8", "--out", "short"}).code == 0);
  const std::vector<json> few = steps_of(place, "short");
  CHECK(few[2].at("lr") == max);
  CHECK(few[4].at("lr") == base);
}

TEST_CASE("the same test finds the same") {
  const Workplace place;
  REQUIRE(place.run(find("a", {"--seeds", "1"})).code == 0);
  REQUIRE(place.run(find("b", {"--seeds", "1", "--threads", "2"})).code == 0);
  CHECK(place.read("a/find-lr.json") == place.read("b/find-lr.json"));
}

TEST_CASE("from a run: its options and its weights, which stay as they are") {
  const Workplace place;
  REQUIRE(place.run(Workplace::train("base", {"--optimizer", "sgd", "--lr", "0.01"})).code == 0);
  const std::string weights = place.read("base/current/model.safetensors");
  const Finished result = place.run(
      {"find-lr", "--from", "base", "--test-steps", "60", "--low", "1e-3", "--seeds", "1", "--out", "next"});
  CHECK(result.err == "");
  REQUIRE(result.code == 0);
  CHECK(place.read("base/current/model.safetensors") == weights);
  const std::string config = place.read("next/cyclic.toml");
  CHECK(config.find("init = ") != std::string::npos);
  CHECK(config.find("steps = 12\n") != std::string::npos);
  CHECK(config.find("schedule = \"cyclic\"\n") != std::string::npos);
  REQUIRE(place.run({"train", "--config", "next/cyclic.toml", "--out", "on"}).code == 0);
  CHECK(steps_of(place, "on")[0].at("loss").get<double>() <
        steps_of(place, "base")[0].at("loss").get<double>());
}

TEST_CASE("mistakes are named") {
  const Workplace place;
  const auto error = [&](std::vector<std::string> more) {
    const Finished result = place.run(find("x", std::move(more)));
    CHECK(result.code != 0);
    CHECK(!place.has("x/cyclic.toml"));
    return result.err;
  };
  CHECK(place.run({"find-lr"}).err ==
        "galvan: find-lr needs --data, a text to learn from; `galvan find-lr --help` shows the options\n");
  CHECK(error({"--max-lr", "1"})
            .starts_with("galvan: --max-lr has no place here: the learning rate is what is looked for;"));
  CHECK(error({"--step-size-up", "4"}).starts_with("galvan: --step-size-up has no place here"));
  CHECK(error({"--schedule", "cosine"})
            .starts_with("galvan: --schedule cosine: the schedule that is written is cyclic;"));
  CHECK(error({"--high", "1e-4"}) == "galvan: range test: from 0.001 to 0.0001 is no range\n");
  CHECK(error({"--low", "0"}) ==
        "galvan: range test: an exponential sweep cannot begin at 0; take a number above 0, or a linear "
        "sweep\n");
  CHECK(error({"--test-steps", "1"}).starts_with("galvan: --test-steps: 1 is less than 10"));
  CHECK(error({"--momentum", "0", "--momentum-test"})
            .starts_with("galvan: --momentum-test needs an optimizer with momentum"));
  CHECK(error({"--from", "nowhere"}).find("nowhere") != std::string::npos);
  CHECK(error({"--out", "text.txt"}).find("text.txt is not a folder") != std::string::npos);

  // A test in which nothing is learnt keeps its curve, but makes no schedule.
  CHECK(error({"--low", "1e-9", "--high", "1e-8", "--seeds", "1"}) ==
        "galvan: range test: the loss does not fall anywhere; end higher\n");
  CHECK(place.has("x/find-lr.json"));
  CHECK(place.read("x/report.html").find("No schedule came of it") != std::string::npos);

  // Nor does one overwrite what is of something else, or leave what an earlier one has found.
  REQUIRE(place.run(Workplace::train("run")).code == 0);
  CHECK(place.run(find("run")).err == "galvan: --out run is the folder of a run or a study\n");
  REQUIRE(place.run(find("x", {"--seeds", "1", "--no-report"})).code == 0);
  CHECK(place.has("x/cyclic.toml"));
  CHECK(!place.has("x/report.html"));  // that of the test before
  // A test that does not come to its end leaves what is there, and nobody else tests there meanwhile.
  {
    const std::string schedule = place.read("x/cyclic.toml");
    Child child(place.path, find("x", {"--test-steps", "100000", "--high", "1e-2", "--stop-above", "0"}));
    wait_until([&] {  // it holds the folder
      std::error_code ignored;
      for (const auto& entry :
           std::filesystem::directory_iterator(concat("/proc/", child.pid(), "/fd"), ignored))
        if (std::filesystem::read_symlink(entry.path(), ignored) ==
            std::filesystem::canonical(place.path / "x"))
          return true;
      return !child.running();
    });
    const Finished second = place.run(find("x", {"--seeds", "1"}));
    CHECK(second.err == "galvan: another process is testing in x\n");
    child.send(SIGKILL);
    child.wait();
    CHECK(place.read("x/cyclic.toml") == schedule);
    CHECK(place.has("x/find-lr.json"));
  }
  CHECK(place.run(Workplace::train("x")).err ==
        "galvan: x is the folder of a range test or a study: take another --out\n");
  error({"--low", "1e-9", "--high", "1e-8", "--seeds", "1"});
}
