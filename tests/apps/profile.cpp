// `galvan profile`: the recorder, the table, the trace, and the command.
#include <doctest/doctest.h>

#include <nlohmann/json.hpp>
#include <regex>

#include "apps/profile/table.h"
#include "tests/apps/command.h"

using namespace galvan;
using nlohmann::json;

namespace {

OpRun op(const std::string& name, double begin, double end, int64_t bytes, double flops = 0) {
  return {.op = name,
          .kernels = name + " ops/x.cpp:1",
          .begin = begin,
          .end = end,
          .bytes = bytes,
          .flops = flops};
}

std::vector<std::string> watched(std::vector<std::string> more = {}) {
  std::vector<std::string> arguments = {"profile", "--data",  "text.txt", "--layers",  "2",  "--heads",
                                        "2",       "--width", "32",       "--context", "16", "--batch-size",
                                        "4",       "--steps", "20",       "--samples", "3"};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

}  // namespace

TEST_CASE("rows have the counts of a step, medians of times, and the floor of each call") {
  const Ceilings ceilings{.bytes_per_second = 100, .flops_per_second = 1000};
  std::vector<StepRun> steps;
  for (const double slower : {1.0, 3.0, 2.0})
    steps.push_back({.ops = {op("copy", 0, 1 * slower, 50), op("linear", 4, 6 * slower, 10, 3000),
                             op("copy", 7, 7 + slower, 150)},
                     .seconds = 20});
  steps[0].ops[1].backward = steps[1].ops[1].backward = steps[2].ops[1].backward = true;
  const std::vector<ProfileRow> rows = profile_rows(steps, ceilings, false);
  REQUIRE(rows.size() == 2);
  CHECK(rows[0].op == "linear backward");  // 2, 14 and 8 seconds
  CHECK(rows[0].seconds == 8);
  CHECK(rows[0].floor == 3);
  CHECK(std::string(rows[0].bound) == "compute");
  CHECK(rows[1].op == "copy");
  CHECK(rows[1].calls == 2);
  CHECK(rows[1].bytes == 200);
  CHECK(rows[1].seconds == 4);
  CHECK(rows[1].floor == doctest::Approx(2));
  CHECK(std::string(rows[1].bound) == "memory");

  const std::vector<ProfileRow> parts = profile_rows(steps, ceilings, true);
  REQUIRE(parts.size() == 4);
  CHECK(parts[1].kernels == "linear ops/x.cpp:1");
  CHECK(parts[1].seconds == 8);

  const std::string table = profile_table(rows, 20, true, false);
  CHECK(std::regex_search(table, std::regex("linear backward +1 +8000\\.000 +40\\.0 %")));
  CHECK(table.find("between ops, on the host") != std::string::npos);
  CHECK(profile_table(rows, 20, false, false).find("40.0") == std::string::npos);

  steps[1].ops.pop_back();
  CHECK_THROWS_WITH_AS(profile_rows(steps, ceilings, false), "profile: a step has 3 ops, a later one 2",
                       Error);
}

TEST_CASE("a trace is JSON as its readers want it, whatever the names") {
  StepRun step{.ops = {op("copy", 0.001, 0.003, 50), op("\"\xFF", 0.004, 0.005, 8, 16)}, .seconds = 1};
  step.ops[1].launches = {"kernel<float>"};
  const json trace = json::parse(to_trace(step, "title", true));
  const json& events = trace.at("traceEvents");
  REQUIRE(events.size() == 4);
  CHECK(events[0].at("ph") == "M");
  CHECK(events[0].at("args").at("name") == "title");
  CHECK(events[2].at("ph") == "X");
  CHECK(events[2].at("ts") == doctest::Approx(1000));  // microseconds
  CHECK(events[2].at("dur") == doctest::Approx(2000));
  CHECK(events[2].at("args").at("bytes") == 50);
  CHECK(events[3].at("args").at("flops") == 16);
  CHECK(events[3].at("args").at("launches")[0] == "kernel<float>");
  const json order = json::parse(to_trace(step, "title", false)).at("traceEvents");
  CHECK(order[2].at("ts") == 0);
  CHECK(order[3].at("ts") == 1);
  CHECK(order[3].at("dur") == 1);
}

TEST_CASE("profile tells of a step op by op, and its trace holds the same ops") {
  const Workplace place;
  const Finished done = place.run(watched({"--trace", "trace.json", "--kernels"}));
  CHECK(done.err == "");
  REQUIRE(done.code == 0);
  for (const char* text : {"A step of 64 tokens", " of memory at most; loss ", "3 watched; unwatched",
                           "floor, ms", "linear backward", "attention ", "optimizer", "all ops",
                           "between ops, on the host", "ops/linear.cpp:", "ui.perfetto.dev"})
    CHECK_MESSAGE(done.out.find(text) != std::string::npos, text);
  const json events = json::parse(place.read("trace.json")).at("traceEvents");
  double end = 0;
  int attentions = 0;
  for (const json& event : events) {
    if (event.at("ph") != "X") continue;
    CHECK(event.at("ts").get<double>() >= end - 1e-3);  // one after the other
    end = event.at("ts").get<double>() + event.at("dur").get<double>();
    attentions += event.at("name") == "attention" ? 1 : 0;
    CHECK(event.at("args").at("bytes").get<int64_t>() > 0);
  }
  CHECK(attentions == 2);  // layers
  CHECK_FALSE(place.has("runs"));

  // Of the configuration of a run.
  REQUIRE(place.run(Workplace::train("run")).code == 0);
  const Finished of_run = place.run({"profile", "--config", "run/config.toml", "--samples", "2"});
  CHECK(of_run.err == "");
  CHECK(of_run.out.find("A step of 64 tokens") != std::string::npos);
}

TEST_CASE("mistakes in a profile are named") {
  const Workplace place;
  CHECK(place.run({"profile"}).err ==
        "galvan: profile needs --data, a text to learn from; `galvan profile --help` shows the options\n");
  CHECK(place.run(watched({"--samples", "30"}))
            .err.starts_with("galvan: --samples 30 needs 63 steps, and the run has 20;"));
  for (const char* command : {"profile", "train"})
    CHECK(place.run({command, "--data", "text.txt", "--kernel", "softmax"})
              .err.starts_with("galvan: expected KERNEL=VERSION, such as matmul=naive, got 'softmax'"));
}
