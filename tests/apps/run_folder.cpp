// A run's folder has one owner, and stays whole when the disk is full.
#include <doctest/doctest.h>
#include <sys/resource.h>

#include <set>
#include <sstream>

#include "tests/apps/command.h"

using namespace galvan;

namespace {

// The command on a disk where no file can be larger than `bytes`.
Finished run_limited(const Workplace& place, const std::vector<std::string>& arguments, rlim_t bytes) {
  return Child(place.path, arguments,
               [bytes] {
                 const rlimit limit{bytes, bytes};
                 return ::setrlimit(RLIMIT_FSIZE, &limit) == 0;
               })
      .wait();
}

std::set<std::string> files_in(const std::filesystem::path& folder) {
  std::set<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    names.insert(entry.path().filename().string());
  return names;
}

}  // namespace

TEST_CASE("one process at a time trains in a folder") {
  const Workplace place;
  const std::vector<std::string> endless =
      Workplace::train("run", {"--steps", "1000000", "--eval-every", "0", "--schedule", "constant"});
  Child first(place.path, endless);
  wait_until([&] { return place.steps_done("run") >= 3; });
  const std::string config = place.read("run/config.toml");

  const Finished again = place.run(endless);
  CHECK(again.code == 1);
  CHECK(again.err ==
        "galvan: run holds a run already: --resume goes on with it, another --out begins anew\n");
  const Finished second = place.run({"train", "--out", "run", "--resume", "--lr", "0.5"});
  CHECK(second.code == 1);
  CHECK(second.err == "galvan: another process is training in run\n");
  CHECK(place.read("run/config.toml") == config);  // the refused one changed nothing
  CHECK(first.running());
  const int64_t steps = place.steps_done("run");
  wait_until([&] { return place.steps_done("run") > steps; });

  first.send(SIGKILL);
  CHECK(first.wait().code == -SIGKILL);
  const std::string next = std::to_string(place.steps_done("run") + 1);
  const Finished third = place.run({"train", "--out", "run", "--resume", "--steps", next});
  CHECK_MESSAGE(third.code == 0, third.err);  // the lock died with its holder
}

TEST_CASE("two that begin in one folder at the same moment: one trains") {
  const Workplace place;
  for (int round = 0; round < 3; ++round) {
    const std::string run = "run" + std::to_string(round);
    Child a(place.path, Workplace::train(run, {"--seed", "1"}));
    const Workplace other;  // the second's own output
    Child b(other.path, Workplace::train((place.path / run).string(), {"--seed", "2"}));
    const Finished first = a.wait(), second = b.wait();
    CHECK(first.code + second.code == 1);
    const std::string seed = first.code == 0 ? "\nseed = 1\n" : "\nseed = 2\n";
    CHECK(place.read(run + "/config.toml").find(seed) != std::string::npos);
  }
}

TEST_CASE("a disk that fills up while a checkpoint is saved costs that checkpoint alone") {
  const Workplace place;
  const auto train = [](const std::string& out) {
    return Workplace::train(out, {"--steps", "8", "--eval-every", "4", "--schedule", "constant"});
  };
  REQUIRE(place.run(train("whole")).code == 0);
  std::vector<std::string> four = train("run");
  four.insert(four.end(), {"--steps", "4"});
  REQUIRE(place.run(four).code == 0);
  const std::string weights = place.read("run/current/model.safetensors");
  const std::vector<std::string> resume = {"train", "--out", "run", "--resume", "--steps", "8"};
  const auto size = [&](const char* file) {
    return std::filesystem::file_size(place.path / "run/current" / file);
  };
  for (const auto& [limit, file] : {std::pair{size("model.safetensors") - 1, "model.safetensors"},
                                    std::pair{size("optimizer.safetensors") - 1, "optimizer.safetensors"}}) {
    const Finished full = run_limited(place, resume, limit);
    CHECK(full.code == 1);
    CHECK(full.err == concat("galvan: cannot write run/checkpoints/.8.partial/", file, ": File too large\n"));
    CHECK(files_in(place.path / "run/checkpoints") == std::set<std::string>{"4"});
    CHECK(place.read("run/current/model.safetensors") == weights);
    CHECK(place.run({"sample", "--checkpoint", "run", "--tokens", "5"}).code == 0);
  }
  const Finished done = place.run(resume);
  CHECK_MESSAGE(done.code == 0, done.err);
  for (const char* file : {"model.safetensors", "optimizer.safetensors", "training.json"})
    CHECK_MESSAGE(place.read(concat("run/current/", file)) == place.read(concat("whole/current/", file)),
                  file);
}

TEST_CASE("output that cannot be written is an error, and no part of the run's files") {
  const Workplace place;
  REQUIRE(place.run(Workplace::train("whole")).code == 0);
  const auto closed = [] { return ::close(0) == 0 && ::close(1) == 0; };
  const auto full = [] { return ::dup2(::open("/dev/full", O_WRONLY), 1) == 1; };
  for (const auto& [run, prepare] :
       {std::pair<std::string, std::function<bool()>>{"closed", closed}, {"full", full}}) {
    const Finished result = Child(place.path, Workplace::train(run), prepare).wait();
    CHECK(result.code == 1);
    CHECK(result.err == "galvan: cannot write the output\n");
    CHECK(place.read(run + "/current/model.safetensors") == place.read("whole/current/model.safetensors"));
    std::istringstream lines(place.read(run + "/metrics.jsonl"));
    for (std::string line; std::getline(lines, line);) CHECK_MESSAGE(line.starts_with("{"), line);
  }
}

TEST_CASE("a disk that is full from the start is one line") {
  const Workplace place;
  const Finished full = run_limited(place, Workplace::train("run"), 500);
  CHECK(full.code == 1);
  CHECK(full.err == "galvan: cannot write run/config.toml: File too large\n");
}
