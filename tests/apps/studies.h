// Studies of a model that takes no time.
#pragma once

#include <algorithm>
#include <cstdlib>
#include <string>
#include <vector>

#include "apps/study_store.h"
#include "core/random.h"
#include "tests/apps/command.h"

namespace galvan {

inline std::string study(const std::string& top, const std::string& vary,
                         const std::string& more = "steps = 12\n") {
  return top + "\n[fixed]\ndata = \"text.txt\"\nlayers = 1\nwidth = 32\ncontext = 16\nbatch-size = 4\n" +
         "eval-every = 4\n" + more + "[vary]\n" + vary + "\n";
}

inline const std::string kFour = "lr = { choice = [1e-3, 1e-2] }\nseed = { choice = [1, 2] }";

inline std::vector<StudyTrial> trials(const Workplace& place, const std::string& folder = "study") {
  return StudyStore(place.path / folder, true).trials();
}

inline Finished tune(const Workplace& place, const std::string& text, std::vector<std::string> more = {}) {
  write_file_atomically(place.path / "study.toml", text);
  std::vector<std::string> arguments = {"tune", "study.toml", "--out", "study"};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return place.run(arguments);
}

inline std::string number(int64_t n) { return std::to_string(n); }

inline int count(const std::vector<StudyTrial>& all, TrialState state) {
  return static_cast<int>(
      std::count_if(all.begin(), all.end(), [&](const StudyTrial& trial) { return trial.state == state; }));
}

// Runs a study to its end, `how` being what more is on the command line, with kill -9 at random moments: nothing that
// has ended is lost, and no trial is changed.
inline void kill_and_resume(const std::vector<std::string>& how) {
  const Workplace place;
  const std::string text = study("[budget]\ntrials = 6", "lr = { log-uniform = [1e-3, 1e-1] }",
                                 "steps = 60\nsave-every = 5\ndropout = 0.1\n");
  write_file_atomically(place.path / "study.toml", text);
  REQUIRE(place.run({"tune", "study.toml", "--out", "whole"}).code == 0);
  const auto whole = trials(place, "whole");

  std::vector<StudyTrial> before;
  const int kills = 6;
  for (int kill = 0; kill < kills; ++kill) {
    std::vector<std::string> arguments = {"tune", "--out", "study"};
    arguments.insert(arguments.end(), how.begin(), how.end());
    arguments.insert(arguments.begin() + 1, place.has("study/study.toml") ? "--resume" : "study.toml");
    Child child(place.path, arguments);
    const double wait = 20 + 600 * uniform_from(philox({static_cast<uint32_t>(kill), 0, 0, 0}, {1, 2})[0]);
    std::this_thread::sleep_for(std::chrono::milliseconds(static_cast<int>(wait)));
    child.send(SIGKILL);
    child.wait();
    if (!place.has("study/study.toml")) continue;
    const auto after = trials(place);
    for (const StudyTrial& trial : before) {
      if (trial.state == TrialState::running) continue;
      const StudyTrial& same = after[static_cast<size_t>(trial.number)];
      CHECK(same.state == trial.state);
      CHECK(same.value == trial.value);
      CHECK(same.point == trial.point);
    }
    CHECK(after.size() >= before.size());
    before = after;
    // Its claims have ended with it, or with a process that it was just about to start.
    wait_until([&] {
      const auto now = trials(place);
      return std::none_of(now.begin(), now.end(), [](const StudyTrial& trial) { return trial.worked_on; });
    });
  }
  std::vector<std::string> arguments = {"tune", "--out", "study"};
  arguments.insert(arguments.end(), how.begin(), how.end());
  arguments.insert(arguments.begin() + 1, place.has("study/study.toml") ? "--resume" : "study.toml");
  const Finished last = place.run(arguments);
  REQUIRE_MESSAGE(last.code == 0, last.err);
  const auto all = trials(place);
  REQUIRE(all.size() == 6);
  for (const StudyTrial& trial : all) {
    INFO("trial ", trial.number);
    CHECK(trial.state == TrialState::finished);
    CHECK(trial.point == whole[static_cast<size_t>(trial.number)].point);
    const std::string run = "trials/" + number(trial.number);
    CHECK(place.metrics("study/" + run) == place.metrics("whole/" + run));
    CHECK(place.read("study/" + run + "/current/model.safetensors") ==
          place.read("whole/" + run + "/current/model.safetensors"));
  }
}

}  // namespace galvan
