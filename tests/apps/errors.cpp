// A mistake ends with one line that says what is wrong, and a code other than 0.
#include <doctest/doctest.h>

#include "tests/apps/command.h"

using namespace galvan;

TEST_CASE("mistakes on the command line") {
  const Workplace place;
  const auto expect = [&](std::vector<std::string> arguments, int code, const std::string& message) {
    const Finished result = place.run(arguments);
    CHECK(result.code == code);
    CHECK(result.err == "galvan: " + message + "\n");
  };
  const std::string hint = "; `galvan train --help` shows the options";
  expect({}, 2, "A subcommand is required; `galvan --help` shows the commands");
  expect({"tran"}, 2, "there is no command 'tran'; `galvan --help` shows the commands");
  expect({"train"}, 2, "train needs --data, a text to learn from" + hint);
  expect({"train", "--data"}, 2, "--data needs a value" + hint);
  expect({"train", "--data", "text.txt", "--stepz", "3"}, 2, "there is no option --stepz" + hint);
  expect({"train", "text.txt"}, 2, "what is 'text.txt' for? Options begin with --" + hint);
  expect({"train", "--steps", "1e3"}, 2, "--steps: '1e3' is not a whole number" + hint);
  expect({"train", "--steps", "0"}, 2, "--steps: 0 is less than 1" + hint);
  expect({"train", "--lr", "nan"}, 2, "--lr: nan is not a finite number" + hint);
  expect({"train", "--preset", "huge"}, 2,
         "--preset: there is no 'huge'; there are tiny, shakespeare-char, gpt2" + hint);
  expect({"train", "--resume"}, 2, "--resume needs --out, the folder of the run to go on with" + hint);
  expect({"train", "--data", "text.txt", "--schedule", "step"}, 2,
         "the step schedule needs --step-size" + hint);
  expect({"train", "--data", "text.txt", "--device", "cuda"}, 1,
         "--device cuda: this build has no CUDA; cpu and auto train on the processor");
  expect({"train", "--data", "text.txt", "--width", "33", "--heads", "4"}, 1,
         "model: width 33 is not a multiple of heads 4");
  expect(
      {"train", "--data", "text.txt", "--optimizer", "sgd", "--momentum", "0", "--schedule", "cyclic"}, 1,
      "CyclicLR: cycle_momentum is on, but the optimizer has momentum 0; give it a momentum above 0 or turn "
      "cycle_momentum off");
  expect({"train", "--out", "none", "--resume"}, 1, "none holds no run to resume");
  expect({"sample"}, 2,
         "sample needs --checkpoint, a run's folder or a checkpoint's; `galvan sample --help` shows the "
         "options");
  expect({"sample", "--checkpoint", "none"}, 1, "none: there is no such folder");
}

TEST_CASE("texts that cannot be learnt from") {
  const Workplace place;
  const auto expect = [&](const std::string& bytes, const std::string& message) {
    write_file_atomically(place.path / "bad.txt", bytes);
    const Finished result = place.run({"train", "--data", "bad.txt", "--steps", "1"});
    CHECK(result.code == 1);
    CHECK(result.out == "");
    CHECK_MESSAGE(result.err.find(message) != std::string::npos, result.err);
    CHECK(result.err.starts_with("galvan: "));
    CHECK(!place.has("runs"));
  };
  expect("", "is empty");
  expect(std::string("\x7f"
                     "ELF\0\0\xff\xfe",
                     8),
         "is not UTF-8 text");
  expect("one line\n", "data: the training split has 8 tokens, fewer than context + 1 = 65");
  CHECK(place.run({"train", "--data", "none.txt"}).err.find("none.txt: No such file or directory") !=
        std::string::npos);
  CHECK(place.run({"train", "--data", "."}).err.find("Is a directory") != std::string::npos);
}

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

TEST_CASE("folders that cannot be written") {
  const Workplace place;
  write_file_atomically(place.path / "file", "x");
  const Finished result = place.run(Workplace::train("file/run"));
  CHECK(result.code == 1);
  CHECK(result.err.starts_with("galvan: cannot create file"));
}
