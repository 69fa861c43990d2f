// Options out of TOML files.
#include <doctest/doctest.h>

#include "tests/apps/command.h"

using namespace galvan;

TEST_CASE("configuration files") {
  const Workplace place;
  const auto expect = [&](const std::string& toml, const std::string& message) {
    write_file_atomically(place.path / "c.toml", toml);
    const Finished result = place.run({"train", "--data", "text.txt", "--config", "c.toml"});
    CHECK(result.code == 1);
    CHECK(result.err == "galvan: " + message + "\n");
  };
  expect("batchsize = 3\n", "c.toml: unknown option 'batchsize'");
  expect("resume = true\n", "c.toml: unknown option 'resume'");
  expect("batch-size = \"3\"\n", "c.toml: batch-size: \"3\" is not a whole number");
  expect("nesterov = 1\n", "c.toml: nesterov: 1 is not true or false");
  expect("batch-size = 0\n", "c.toml: batch-size: 0 is less than 1");
  expect("schedule = \"triangle\"\n",
         "c.toml: schedule: there is no 'triangle'; there are cosine, cyclic, one-cycle, step, exponential, "
         "cosine-annealing, constant");
  expect("[[[", "c.toml: not TOML");
  expect("[.]", "c.toml: not TOML");
  expect("[train]\nsteps = 3\n", "c.toml: 'train' is neither a number, a text, true nor false");
  CHECK(place.run({"train", "--config", "none.toml"}).err ==
        "galvan: cannot read none.toml: No such file or directory\n");

  write_file_atomically(place.path / "c.toml", "steps = 3\nsteps = 4\n");
  const Finished twice = place.run({"train", "--config", "c.toml"});
  CHECK(twice.code == 1);
  CHECK(twice.err.starts_with("galvan: c.toml:2: "));

  write_file_atomically(
      place.path / "c.toml",
      "data = \"text.txt\"\nlr = 1\nlayers = 1\nheads = 1\nwidth = 8\nsteps = 3\ncontext = 8\n"
      "bias = false\n");
  const Finished result =
      place.run({"train", "--config", "c.toml", "--steps", "2", "--lr", "0.001", "--bias", "--out", "run"});
  CHECK_MESSAGE(result.code == 0, result.err);
  const std::string config = place.read("run/config.toml");
  for (const char* line :
       {"\nsteps = 2\n", "\nlr = 0.001\n", "\nmin-lr = 1e-04\n", "\nwidth = 8\n", "\nmlp-width = 32\n",
        "\nbias = true\n", "\nweight-decay = 0.1\n", "\ncontext = 8\n"})
    CHECK_MESSAGE(config.find(line) != std::string::npos, line);
  CHECK(config.find("/text.txt\"\n") != std::string::npos);
}

TEST_CASE("every command takes its options from a file, and the command line wins") {
  const Workplace place;
  REQUIRE(place.run(Workplace::train("run")).code == 0);
  const auto with_file = [&](const std::string& command, const std::string& toml,
                             std::vector<std::string> more = {}) {
    write_file_atomically(place.path / "c.toml", toml);
    std::vector<std::string> arguments = {command, "--config", "c.toml"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return place.run(arguments);
  };
  const auto expect_same = [&](const std::string& command, const std::string& toml,
                               std::vector<std::string> more, std::vector<std::string> spelled_out) {
    spelled_out.insert(spelled_out.begin(), command);
    const Finished file = with_file(command, toml, std::move(more)), line = place.run(spelled_out);
    CHECK_MESSAGE(file.code == 0, file.err);
    CHECK(file.out != "");
    CHECK(file.out == line.out);
  };
  expect_same("schedule", "policy = \"cyclic\"\nmax-lr = 1\nstep-size-up = 2\nsteps = 9\ncsv = true\n",
              {"--steps", "5"},
              {"--policy", "cyclic", "--max-lr", "1", "--step-size-up", "2", "--steps", "5", "--csv"});
  expect_same("sample", "checkpoint = \"run\"\nprompt = \"The\"\ntokens = 20\ngreedy = true\n", {},
              {"--checkpoint", "run", "--prompt", "The", "--tokens", "20", "--greedy"});
  expect_same("sample", "checkpoint = \"run\"\ngreedy = true\nseed = 5\n", {"--no-greedy", "--tokens", "20"},
              {"--checkpoint", "run", "--tokens", "20", "--seed", "5"});
  expect_same("eval", "checkpoint = \"run\"\ndata = \"text.txt\"\njson = true\n", {},
              {"--checkpoint", "run", "--data", "text.txt", "--json"});
  expect_same("info", "checkpoint = \"run\"\n", {}, {"--checkpoint", "run"});

  const Finished foreign = with_file("sample", "policy = \"cyclic\"\n");
  CHECK(foreign.code == 1);
  CHECK(foreign.err == "galvan: c.toml: unknown option 'policy'\n");
}
