// Ctrl-C and SIGTERM.
#include <doctest/doctest.h>

#include "tests/apps/command.h"

using namespace galvan;

TEST_CASE("a signal saves and says how to go on") {
  const Workplace place;
  for (const auto& [signal, code] : {std::pair{SIGINT, 130}, std::pair{SIGTERM, 143}}) {
    const std::string run = "run " + std::to_string(signal);
    Child child(place.path,
                Workplace::train(run, {"--steps", "1000000", "--eval-every", "0", "--save-every", "0"}));
    wait_until([&] { return place.steps_done(run) >= 3; });
    child.send(signal);
    const Finished ended = child.wait();
    CHECK(ended.code == code);
    CHECK(ended.err == "");
    const int64_t steps = place.steps_done(run);
    CHECK(steps < 1000000);
    CHECK(place.has(run + "/checkpoints/" + std::to_string(steps) + "/training.json"));
    CHECK(ended.out.find("\nStopped after step ") != std::string::npos);
    CHECK(ended.out.ends_with(" This goes on:\n  galvan train --out '" + run + "' --resume\n"));
  }
}

TEST_CASE("a second signal ends the process at once") {
  const Workplace place;
  for (const auto& [second, code] : {std::pair{SIGINT, 130}, std::pair{SIGTERM, 143}}) {
    // The first step takes minutes, and the first signal waits for its end.
    const std::string run = "run " + std::to_string(second);
    Child child(place.path, Workplace::train(run, {"--accumulate", "65536", "--batch-size", "64"}));
    const auto computes = [&](double seconds) {
      const double before = child.processor_time();
      wait_until([&] { return child.processor_time() >= before + seconds; });
    };
    wait_until([&] { return place.has(run + "/metrics.jsonl"); });
    computes(0.1);  // is in the step by now
    child.send(SIGINT);
    computes(0.05);  // has had the signal, and goes on
    child.send(second);
    const Finished ended = child.wait();
    CHECK(ended.code == code);
    CHECK(ended.out.find("Stopped") == std::string::npos);
    CHECK(place.steps_done(run) == 0);
    CHECK(!place.has(run + "/current"));
  }
}
