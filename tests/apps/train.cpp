// `galvan train` and what follows it: sample, eval, the run once more.
#include <doctest/doctest.h>

#include <nlohmann/json.hpp>
#include <regex>
#include <sstream>

#include "tests/apps/command.h"

using namespace galvan;
using nlohmann::json;

TEST_CASE("a run leaves a model that writes and is evaluated") {
  const Workplace place;
  const Finished trained = place.run(Workplace::train("a run"));
  CHECK(trained.err == "");
  REQUIRE(trained.code == 0);
  for (const char* file : {"config.toml", "data.json", "metrics.jsonl", "samples.txt", "loss.svg",
                           "checkpoints/12/model.safetensors", "current/config.json", "best/tokenizer.json"})
    CHECK_MESSAGE(place.has("a run/" + std::string(file)), file);
  CHECK(trained.out.find("all                28,544   100.0 %") == std::string::npos);
  CHECK(std::regex_search(trained.out,
                          std::regex("\nstep 12/12  loss \\d\\.\\d{4}  lr 1\\.\\d\\de-04  momentum 0\\.9  "
                                     "[\\d,]+ tokens/s  \\d+ % of peak  0:00 left\n")));
  CHECK(std::regex_search(
      trained.out,
      std::regex(
          "\nEpoch 1 - Train Loss: \\d\\.\\d{4} - Eval Loss: \\d\\.\\d{4} - Eval Accuracy: \\d\\.\\d\\d\n")));
  CHECK(trained.out.find("galvan sample --checkpoint 'a run'") != std::string::npos);
  CHECK(std::regex_search(place.read("a run/samples.txt"), std::regex("^=== step 5 ===\n")));

  std::vector<json> steps, evaluations;
  std::istringstream lines(place.read("a run/metrics.jsonl"));
  for (std::string line; std::getline(lines, line);) {
    const json record = json::parse(line);
    (record.contains("eval_loss") ? evaluations : steps).push_back(record);
  }
  CHECK(steps.size() == 12);
  REQUIRE(evaluations.size() >= 3);
  CHECK(steps.back().at("step") == 12);

  SUBCASE("evaluated as in training") {
    const Finished result =
        place.run({"eval", "--checkpoint", "a run", "--data", "text.txt", "--validation", "0.1", "--json"});
    REQUIRE(result.code == 0);
    CHECK(std::regex_match(result.out, std::regex("\\{\"loss\":[^ ]+, \"accuracy\":[^ ]+, \"perplexity\":[^ "
                                                  "]+, \"bits_per_character\":[^ ]+\\}\n")));
    const json values = json::parse(result.out);
    CHECK(values.at("loss").get<double>() ==
          doctest::Approx(evaluations.back().at("eval_loss").get<double>()).epsilon(1e-6));
    CHECK(values.at("accuracy") == evaluations.back().at("eval_accuracy"));
    CHECK(place.run({"eval", "--checkpoint", "a run/best", "--data", "text.txt"}).out.find("perplexity") !=
          std::string::npos);
  }
  SUBCASE("the same seed writes the same") {
    const auto sample = [&](std::vector<std::string> more) {
      std::vector<std::string> arguments = {"sample", "--checkpoint", "a run", "--prompt",
                                            "The",    "--tokens",     "30"};
      arguments.insert(arguments.end(), more.begin(), more.end());
      const Finished result = place.run(arguments);
      CHECK(result.code == 0);
      CHECK(result.err == "");
      return result.out;
    };
    const std::string first = sample({"--seed", "3"});
    CHECK(first.size() == 3 + 30 + 1);
    CHECK(first.starts_with("The"));
    CHECK(sample({"--seed", "3"}) == first);
    CHECK(sample({"--seed", "4"}) != first);
    CHECK(sample({"--greedy"}) == sample({"--greedy", "--seed", "4"}));
    CHECK(sample({"--top-k", "1"}) == sample({"--greedy"}));
  }
  SUBCASE("the configuration repeats the run bit for bit, whatever the number of threads") {
    REQUIRE(place.run({"train", "--config", "a run/config.toml", "--out", "again", "--threads", "1"}).code ==
            0);
    CHECK(place.read("again/current/model.safetensors") == place.read("a run/current/model.safetensors"));
    CHECK(place.read("again/samples.txt") == place.read("a run/samples.txt"));
    REQUIRE(place.run({"train", "--config", "a run/config.toml", "--seed", "2"}).code == 0);
    CHECK(place.has("runs/1/current/model.safetensors"));
    CHECK(place.read("runs/1/current/model.safetensors") != place.read("a run/current/model.safetensors"));
    REQUIRE(place.run({"train", "--config", "a run/config.toml", "--steps", "1"}).code == 0);
    CHECK(place.has("runs/2/checkpoints/1"));
  }
  SUBCASE("its weights begin another run") {
    REQUIRE(
        place.run({"train", "--data", "text.txt", "--init", "a run", "--steps", "3", "--out", "b"}).code ==
        0);
    REQUIRE(place.run({"train", "--config", "b/config.toml", "--out", "c"}).code == 0);
    CHECK(place.read("b/current/model.safetensors") == place.read("c/current/model.safetensors"));
    const Finished other =
        place.run({"train", "--data", "text.txt", "--init", "a run", "--layers", "3", "--out", "d"});
    CHECK(other.code == 1);
    CHECK(other.err.find("--init: layers is 2 in ") != std::string::npos);
  }
  SUBCASE("its folder is not trained in a second time") {
    const Finished second = place.run(Workplace::train("a run"));
    CHECK(second.code == 1);
    CHECK(second.err ==
          "galvan: a run holds a run already: --resume goes on with it, another --out begins anew\n");
  }
}

TEST_CASE("epochs decide the steps, and every tokenizer and style trains") {
  const Workplace place;
  const auto check_trains = [&](const std::string& out, std::vector<std::string> more) {
    const Finished result = place.run(Workplace::train(out, more));
    CHECK_MESSAGE(result.code == 0, result.err);
    CHECK(place.run({"sample", "--checkpoint", out, "--tokens", "5"}).code == 0);
  };
  check_trains("epochs", {"--epochs", "2"});
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
