// A mistake ends with one line that says what is wrong, and a code other than 0.
#include <doctest/doctest.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <regex>

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
  expect({"train", "--batch-size", "70000"}, 2, "--batch-size: 70000 is more than 65536" + hint);
  expect({"train", "--optimizer", "sgd", "--momentum", "5"}, 2, "--momentum: 5.0 is more than 1" + hint);
  expect({"train", "--optimizer", "sgd", "--dampening", "-1"}, 2, "--dampening: -1.0 is less than 0" + hint);
  expect({"train", "--tokenizer", "bpe", "--vocab-size", "1000000000"}, 2,
         "--vocab-size: 1000000000 is more than 16777216" + hint);
  expect({"train", "--data", "text.txt", "--steps", "50", "--warmup", "100"}, 1,
         "--warmup: a rise of 100 steps does not fit into a run of 50; give a shorter one, such as 5");
  expect({"train", "--data", "text.txt", "--epochs", "0"}, 1, "--epochs: 0 is not above 0");
  expect({"train", "--data", "text.txt", "--epochs", "1e300"}, 1,
         "--epochs: 1e+300 make 3.66667e+300 steps, more than 100000000");
  expect({"train", "--data", "none.txt", "--dropout", "1"}, 1, "model: dropout 1 is not in [0, 1)");
  expect({"train", "--data", "text.txt", "--tokenizer", "words"}, 1,
         "--tokenizer " + (place.path / "words").string() +
             ": neither char, byte or bpe nor a file that is there");
  expect({"schedule", "--steps", "1000000000000"}, 2,
         "--steps: 1000000000000 is more than 10000000; `galvan schedule --help` shows the options");
  expect({"train", "--lr", "nan"}, 2, "--lr: nan is not a finite number" + hint);
  expect({"train", "--preset", "huge"}, 2,
         "--preset: there is no 'huge'; there are tiny, shakespeare-char, gpt2" + hint);
  expect({"train", "--resume"}, 2, "--resume needs --out, the folder of the run to go on with" + hint);
  expect({"train", "--data", "text.txt", "--schedule", "step"}, 2,
         "the step schedule needs --step-size" + hint);
#ifndef GALVAN_CUDA
  expect({"train", "--data", "text.txt", "--device", "cuda"}, 1,
         "--device cuda: this build has no CUDA; cpu and auto compute on the processor");
#endif
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
  CHECK(place.run({"train", "--data", "/dev/zero"}).err == "galvan: cannot read /dev/zero: it is a device\n");
  CHECK(place.run({"train", "--config", "/dev/zero"}).err ==
        "galvan: cannot read /dev/zero: it is a device\n");
}

TEST_CASE("a model that no memory holds is refused before it is made") {
  const Workplace place;
  for (const std::vector<std::string>& sizes :
       {std::vector<std::string>{"--width", "1000000", "--heads", "1"}, {"--layers", "2000000000"}}) {
    std::vector<std::string> arguments = {"train", "--data", "text.txt"};
    arguments.insert(arguments.end(), sizes.begin(), sizes.end());
    const Finished result = place.run(arguments);
    CHECK(result.code == 1);
    CHECK_MESSAGE(
        std::regex_match(result.err, std::regex("galvan: this needs .* [TP]B of memory, and there are .*; "
                                                "what fits: a smaller model\n")),
        result.err);
    CHECK(!place.has("runs"));
  }
}

TEST_CASE("a run is not resumed as another") {
  const Workplace place;
  REQUIRE(place.run(Workplace::train("run")).code == 0);
  const auto expect = [&](const std::string& name, const std::string& value, const std::string& message) {
    const Finished result = place.run({"train", "--out", "run", "--resume", "--steps", "14", name, value});
    CHECK(result.code == 2);
    CHECK(result.err == "galvan: " + message +
                            ", and --resume goes on with that; `galvan train --help` shows the options\n");
  };
  expect("--width", "64", "--width 64: run/config.toml has 32");
  expect("--optimizer", "sgd", "--optimizer \"sgd\": run/config.toml has \"adamw\"");
  expect("--validation", "0.5", "--validation 0.5: run/config.toml has 0.1");
  CHECK(place.run({"train", "--out", "run", "--resume", "--steps", "14", "--width", "32"}).code == 0);
  const Finished init =
      place.run({"train", "--data", "text.txt", "--init", "run", "--style", "llama", "--out", "other"});
  CHECK(init.err ==
        "galvan: --init brings its sizes and style; --style has no place beside it; `galvan train --help` "
        "shows "
        "the options\n");
}

TEST_CASE("a config.json that its weights contradict") {
  const Workplace place;
  REQUIRE(place.run(Workplace::train("run")).code == 0);
  const std::string path = "run/checkpoints/12/config.json", good = place.read(path);
  const auto expect = [&](const std::string& from, const std::string& to, const std::string& message) {
    std::string bad = good;
    REQUIRE(bad.find(from) != std::string::npos);
    bad.replace(bad.find(from), from.size(), to);
    write_file_atomically(place.path / path, bad);
    for (const std::vector<std::string>& command :
         {std::vector<std::string>{"sample", "--checkpoint", "run"},
          {"eval", "--data", "text.txt", "--checkpoint", "run"},
          {"train", "--data", "text.txt", "--steps", "1", "--out", "new", "--init", "run"}}) {
      const Finished result = place.run(command);
      CHECK(result.code == 1);
      CHECK_MESSAGE(result.err.find(message) != std::string::npos, result.err);
      CHECK(std::count(result.err.begin(), result.err.end(), '\n') == 1);
    }
  };
  expect("\"n_layer\": 2", "\"n_layer\": 2000000000",
         " bytes, but config.json sizes of 25408000001504 parameters");
  expect("\"vocab_size\": 29", "\"vocab_size\": 2000000000", "parameters; one of them is corrupt\n");
  expect("\"n_positions\": 16", "\"n_positions\": 2000000000", "parameters; one of them is corrupt\n");
  expect("\"n_embd\": 32", "\"n_embd\": 2000000000",
         "config.json: model: sizes that make 3.2e+19 parameters");
  expect("\"n_head\": 2", "\"n_head\": 0", "config.json: model: heads is 0, not between 1 and 2^31\n");
  expect("\"n_layer\": 2", "\"n_layer\": 1",
         "holds transformer.h.1.ln_1.weight, but config.json has only 1 layer\n");
  expect("\"n_layer\": 2", "\"n_layer\": 3", "holds no tensor transformer.h.2.ln_1.weight\n");
}

TEST_CASE("a long context costs sampling no memory until it is used") {
  const Workplace place;
  REQUIRE(place.run(Workplace::train("run", {"--style", "llama"})).code == 0);
  const std::string path = "run/checkpoints/12/config.json";
  std::string config = place.read(path);
  const std::string from = "\"max_position_embeddings\": 16";
  config.replace(config.find(from), from.size(), "\"max_position_embeddings\": 2000000000");
  write_file_atomically(place.path / path, config);
  const Finished result = place.run({"sample", "--checkpoint", "run", "--tokens", "30"});
  CHECK_MESSAGE(result.code == 0, result.err);
}

TEST_CASE("prompts and draws that a model cannot take") {
  const Workplace place;
  REQUIRE(place.run(Workplace::train("run")).code == 0);
  const auto sample = [&](std::vector<std::string> more) {
    more.insert(more.begin(), {"sample", "--checkpoint", "run"});
    return place.run(more);
  };
  CHECK(sample({"--prompt", "The €"}).err ==
        "galvan: tokenizer: \"€\" (U+20AC) at byte 4 is not among the 29 characters of the vocabulary\n");
  CHECK(sample({"--prompt", "\xff"}).err ==
        "galvan: tokenizer: the text is not UTF-8 at byte 0: binary file?\n");
  CHECK(sample({"--top-p", "0"}).err == "galvan: sample: top_p 0 is not in (0, 1]\n");
  CHECK(sample({"--tokens", "0", "--prompt", "The"}).out == "The\n");
  std::string longer_than_context;
  for (int i = 0; i < 50; ++i) longer_than_context += "The cat ";
  const Finished result = sample({"--prompt", longer_than_context, "--tokens", "3"});
  CHECK(result.code == 0);
  CHECK(result.out.size() == longer_than_context.size() + 3 + 1);
}

TEST_CASE("folders that cannot be written are found before the text is read") {
  const Workplace place;
  write_file_atomically(place.path / "file", "x");
  for (const char* out : {"file", "file/run", "file/a/b"}) {
    const Finished result = place.run({"train", "--data", "none.txt", "--out", out});
    CHECK(result.code == 1);
    CHECK(result.err ==
          concat("galvan: cannot write ", out, ": ", (place.path / "file").string(), " is not a folder\n"));
  }
  std::filesystem::create_directory(place.path / "locked");
  std::filesystem::permissions(place.path / "locked", std::filesystem::perms::owner_read);
  const auto without_privileges = [] {  // root may write everywhere, others may not drop what they have not
    return ::geteuid() != 0 || ::prctl(PR_CAPBSET_DROP, CAP_DAC_OVERRIDE) == 0;
  };
  const Finished locked =
      Child(place.path, {"train", "--data", "none.txt", "--out", "locked/run"}, without_privileges).wait();
  CHECK(locked.code == 1);
  CHECK(locked.err == concat("galvan: cannot write locked/run: ", (place.path / "locked").string(),
                             ": Permission denied\n"));
  std::filesystem::permissions(place.path / "locked", std::filesystem::perms::owner_all);
}

TEST_CASE("options that the others leave without a meaning") {
  const Workplace place;
  const auto expect = [&](std::vector<std::string> arguments, const std::string& message) {
    const Finished result = place.run(arguments);
    CHECK(result.code == 2);
    CHECK(result.err == "galvan: " + message + "; `galvan " + arguments[0] + " --help` shows the options\n");
  };
  const auto train = [&](std::vector<std::string> arguments, const std::string& message) {
    arguments.insert(arguments.begin(), {"train", "--data", "text.txt"});
    expect(arguments, message);
  };
  train({"--momentum", "0.8"}, "--momentum is for --optimizer sgd; with adamw it does nothing");
  train({"--optimizer", "sgd", "--beta2", "0.9"},
        "--beta2 is for --optimizer adam or adamw; with sgd it does nothing");
  train({"--no-nesterov"}, "--nesterov is for --optimizer sgd; with adamw it does nothing");
  train({"--vocab-size", "300"}, "--vocab-size is for --tokenizer bpe; with char it does nothing");
  train({"--base-lr", "0.1"}, "--base-lr is for --schedule cyclic; with cosine it does nothing");
  train({"--schedule", "cyclic", "--warmup", "3"},
        "--warmup is for --schedule cosine; with cyclic it does nothing");
  train({"--schedule", "cyclic", "--lr", "1", "--max-lr", "2"},
        "--max-lr is the highest rate; --lr has no place beside it");
  train({"--schedule", "one-cycle", "--no-cycle-momentum", "--max-momentum", "0.9"},
        "--max-momentum is for --cycle-momentum, which is off");
  train(
      {"--optimizer", "sgd", "--schedule", "cyclic", "--momentum", "0.5"},
      "--momentum does nothing while the schedule moves the momentum: --max-momentum and --base-momentum are "
      "its bounds, --no-cycle-momentum keeps it still");
  train({"--steps", "3", "--epochs", "1"}, "--epochs decides the steps; --steps has no place beside it");
  train({"--patience", "2", "--validation", "0"},
        "--patience counts evaluations, of which --validation 0 leaves none");
  expect({"schedule", "--pct-start", "0.2"},
         "--pct-start is for --policy one-cycle; with cosine it does nothing");
  expect({"schedule", "--policy", "cyclic", "--gamma", "0.9"},
         "--gamma is for --mode exp_range; with triangular it does nothing");
  expect({"sample", "--checkpoint", "run", "--greedy", "--top-k", "3"},
         "--top-k has no place beside --greedy, which draws nothing");
  CHECK(place.run({"schedule", "--policy", "cyclic", "--mode", "exp_range", "--gamma", "0.9"}).code == 0);
}

TEST_CASE(
    "a file's values give way to the defaults where an option on the command line changes what they are of") {
  const Workplace place;
  REQUIRE(place.run(Workplace::train("adamw", {"--lr", "0.002", "--seed", "7"})).code == 0);
  const Finished sgd = place.run({"train", "--config", "adamw/config.toml", "--out", "sgd", "--optimizer",
                                  "sgd", "--schedule", "cyclic", "--base-lr", "0.01"});
  CHECK_MESSAGE(sgd.code == 0, sgd.err);
  CHECK_MESSAGE(
      sgd.out.starts_with("Note        lr, weight-decay: the defaults, not what adamw/config.toml has\n"),
      sgd.out);
  const std::string config = place.read("sgd/config.toml");
  for (const char* line : {"\nlr = 0.1\n", "\nmax-lr = 0.1\n", "\nbase-lr = 0.01\n", "\nweight-decay = 0.0\n",
                           "\nmomentum = 0.9\n", "\nseed = 7\n", "\nwidth = 32\n"})
    CHECK_MESSAGE(config.find(line) != std::string::npos, line);
  for (const char* name : {"\nmin-lr", "\nwarmup", "\nbeta1", "\npct-start"})
    CHECK_MESSAGE(config.find(name) == std::string::npos, name);

  // The same value changes nothing.
  const Finished same = place.run(
      {"train", "--config", "sgd/config.toml", "--out", "same", "--optimizer", "sgd", "--steps", "3"});
  CHECK(same.code == 0);
  CHECK(same.out.starts_with("Parameters\n"));
  CHECK(place.read("same/config.toml").find("\nbase-lr = 0.01\n") != std::string::npos);

  // A higher peak brings its own floor.
  REQUIRE(place.run({"train", "--config", "sgd/config.toml", "--out", "peak", "--max-lr", "0.3"}).code == 0);
  CHECK(place.read("peak/config.toml").find("\nbase-lr = 0.003\n") != std::string::npos);
}

TEST_CASE("info shows the processor, or a model") {
  const Workplace place;
  const Finished machine = place.run({"info", "--threads", "1"});
  for (const char* what : {"\ninstructions   ", "\nkernels        ", "baseline"})
    CHECK_MESSAGE(machine.out.find(what) != std::string::npos, what);
  REQUIRE(place.run(Workplace::train("run")).code == 0);
  const Finished model = place.run({"info", "--checkpoint", "run"});
  CHECK_MESSAGE(model.code == 0, model.err);
  for (const char* what :
       {"\nsteps done     12\n", "\nlayers         2 of 2 heads, 32 wide, GELU\n",
        "\ncontext        16 tokens\n", "\ntokenizer      char, 29 tokens\n", "26,912   100.0 %\n"})
    CHECK_MESSAGE(model.out.find(what) != std::string::npos, what);
  CHECK(place.run({"info", "--checkpoint", "none"}).err == "galvan: none: there is no such folder\n");
}

TEST_CASE("a run repeated on a text that has changed says so") {
  const Workplace place;
  REQUIRE(place.run(Workplace::train("run")).code == 0);
  const std::vector<std::string> repeat = {"train", "--config", "run/config.toml", "--steps", "1"};
  CHECK(place.run(repeat).out.find("Note") == std::string::npos);
  write_file_atomically(place.path / "text.txt", place.read("text.txt") + "The cat sat.\n");
  const Finished result = place.run(repeat);
  CHECK(result.code == 0);
  CHECK(
      result.out.find("text.txt has changed since the run of run/config.toml; this will be another run\n") !=
      std::string::npos);
}
