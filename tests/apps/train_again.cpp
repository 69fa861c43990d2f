// Runs made from other runs, and runs of every kind.
#include <doctest/doctest.h>

#include "tests/apps/command.h"

using namespace galvan;

TEST_CASE("what a finished run is good for") {
  const Workplace place;
  REQUIRE(place.run(Workplace::train("a run", {"--eval-every", "0"})).code == 0);
  const std::string weights = place.read("a run/current/model.safetensors");
  const auto weights_of = [&](const std::string& run) {
    return place.read(run + "/current/model.safetensors");
  };
  const auto succeeds = [&](const std::vector<std::string>& arguments) {
    const Finished result = place.run(arguments);
    CHECK_MESSAGE(result.code == 0, result.err);
  };

  // Its configuration repeats it bit for bit, whatever the number of threads.
  succeeds({"train", "--config", "a run/config.toml", "--out", "again", "--threads", "1"});
  CHECK(weights_of("again") == weights);
  CHECK(place.read("again/samples.txt") == place.read("a run/samples.txt"));
  succeeds({"train", "--config", "a run/config.toml", "--seed", "2"});
  CHECK(weights_of("runs/1") != weights);
  succeeds({"train", "--config", "a run/config.toml", "--steps", "1"});
  CHECK(place.has("runs/2/checkpoints/1"));

  // Other versions of kernels compute the same but for rounding, and the configuration keeps them.
  succeeds({"train", "--config", "a run/config.toml", "--kernel", "matmul=naive,attention=three_pass",
            "--out", "naive"});
  CHECK(weights_of("naive") != weights);
  CHECK(place.read("naive/config.toml").find("kernel = \"matmul=naive,attention=three_pass\"") !=
        std::string::npos);
  succeeds({"train", "--config", "naive/config.toml", "--out", "naive again"});
  CHECK(weights_of("naive again") == weights_of("naive"));
  const Finished fast = place.run({"train", "--config", "a run/config.toml", "--kernel", "matmul=fast"});
  CHECK(fast.code == 1);
  CHECK(fast.err.starts_with("galvan: matmul: there is no 'fast' on cpu, only "));

  // Its weights begin another run.
  succeeds({"train", "--data", "text.txt", "--init", "a run", "--steps", "3", "--out", "b"});
  succeeds({"train", "--config", "b/config.toml", "--out", "c"});
  CHECK(weights_of("b") == weights_of("c"));
  const Finished other =
      place.run({"train", "--data", "text.txt", "--init", "a run", "--layers", "3", "--out", "d"});
  CHECK(other.code == 1);
  CHECK(other.err.find("checkpoints/12: layers is 2, but ") != std::string::npos);

  // Its folder is not trained in a second time.
  const Finished second = place.run(Workplace::train("a run"));
  CHECK(second.code == 1);
  CHECK(second.err ==
        "galvan: a run holds a run already: --resume goes on with it, another --out begins anew\n");
  CHECK(weights_of("a run") == weights);
}

TEST_CASE("epochs decide the steps, and every tokenizer and style trains") {
  const Workplace place;
  const auto check_trains = [&](const std::string& out, std::vector<std::string> more) {
    more.insert(more.end(), {"--eval-every", "0", "--batch-size", "16"});
    const Finished result = place.run(Workplace::train(out, more));
    CHECK_MESSAGE(result.code == 0, result.err);
    CHECK(place.run({"sample", "--checkpoint", out, "--tokens", "5"}).code == 0);
  };
  std::vector<std::string> two_epochs = Workplace::train("epochs", {"--epochs", "2", "--batch-size", "16"});
  const auto steps = std::find(two_epochs.begin(), two_epochs.end(), "--steps");
  two_epochs.erase(steps, steps + 2);
  CHECK(place.run(two_epochs).code == 0);
  CHECK(place.read("epochs/metrics.jsonl").find("\"epoch\":2") != std::string::npos);
  CHECK(place.read("epochs/config.toml").find("\nepochs") == std::string::npos);
  check_trains("bytes", {"--tokenizer", "byte", "--order", "random", "--accumulate", "2"});
  check_trains("bpe", {"--tokenizer", "bpe", "--vocab-size", "280", "--validation", "0"});
  check_trains("file", {"--tokenizer", "bpe/current/tokenizer.json", "--recompute"});
  check_trains("llama", {"--style", "llama", "--kv-heads", "1", "--dropout", "0.1", "--dtype", "f64"});
  check_trains("bf16", {"--dtype", "bf16"});
  check_trains("cyclic", {"--optimizer", "sgd", "--schedule", "cyclic", "--step-size-up", "3", "--nesterov"});
  check_trains("one-cycle", {"--optimizer", "adam", "--schedule", "one-cycle", "--max-lr", "0.01"});
}
