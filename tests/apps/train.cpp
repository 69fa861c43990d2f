// `galvan train` and what follows it: sample, eval. All at once the shortest test of the whole, `ctest -L smoke`.
#include <doctest/doctest.h>

#include <nlohmann/json.hpp>
#include <regex>
#include <sstream>

#include "models/safetensors.h"
#include "tests/apps/command.h"

using namespace galvan;
using nlohmann::json;

namespace {

// A run in the folder "a run", made once for all tests here.
struct Trained : Workplace {
  Finished finished = Workplace::run(train("a run"));
  std::vector<json> steps, evaluations;

  Trained() {
    std::istringstream lines(read("a run/metrics.jsonl"));
    for (std::string line; std::getline(lines, line);) {
      const json record = json::parse(line);
      if (record.contains("grad_norms")) continue;
      (record.contains("eval_loss") ? evaluations : steps).push_back(record);
    }
  }
};

const Trained& trained() {
  static const Trained place;
  return place;
}

}  // namespace

TEST_CASE("a run leaves its record and its model") {
  const Trained& place = trained();
  CHECK(place.finished.err == "");
  REQUIRE(place.finished.code == 0);
  for (const char* file : {"config.toml", "data.json", "metrics.jsonl", "samples.txt", "loss.svg",
                           "checkpoints/12/model.safetensors", "current/config.json", "best/tokenizer.json"})
    CHECK_MESSAGE(place.has("a run/" + std::string(file)), file);
  CHECK(std::regex_search(place.read("a run/samples.txt"), std::regex("^=== step 5 ===\n")));
  REQUIRE(place.steps.size() == 12);
  REQUIRE(place.evaluations.size() == 3);
  for (size_t i = 0; i < 12; ++i) CHECK(place.steps[i].at("step") == i + 1);
  for (size_t i = 0; i < 3; ++i) CHECK(place.evaluations[i].at("step") == std::vector{5, 10, 12}[i]);
  CHECK(place.evaluations[2].at("eval_loss") < place.evaluations[0].at("eval_loss"));
}

TEST_CASE("a run tells what it does") {
  const std::string& out = trained().finished.out;
  CHECK(
      std::regex_search(out, std::regex("\nstep 12/12  loss \\d\\.\\d{4}  lr 1\\.\\d\\de-04  momentum 0\\.9  "
                                        "[\\d,]+ tokens/s  \\d+ % of peak  0:00 left\n")));
  CHECK(std::regex_search(
      out,
      std::regex(
          "\nEpoch 1 - Train Loss: \\d\\.\\d{4} - Eval Loss: \\d\\.\\d{4} - Eval Accuracy: \\d\\.\\d\\d\n")));
  CHECK(out.find("galvan sample --checkpoint 'a run'") != std::string::npos);

  // The plan counts the parameters that the model has.
  const SafetensorsFile file(trained().path / "a run/current/model.safetensors");
  int64_t parameters = 0;
  for (const std::string& name : file.names()) parameters += file.shape(name).numel();
  std::smatch row;
  REQUIRE(std::regex_search(out, row, std::regex("\n  all +([\\d,]+) +100\\.0 %\n")));
  std::string digits = row[1];
  std::erase(digits, ',');
  CHECK(digits == std::to_string(parameters));
}

TEST_CASE("evaluated as in training") {
  const Trained& place = trained();
  const Finished result =
      place.run({"eval", "--checkpoint", "a run", "--data", "text.txt", "--validation", "0.1", "--json"});
  REQUIRE(result.code == 0);
  CHECK(std::regex_match(result.out, std::regex("\\{\"loss\":[^ ]+, \"accuracy\":[^ ]+, \"perplexity\":[^ "
                                                "]+, \"bits_per_character\":[^ ]+\\}\n")));
  const json values = json::parse(result.out);
  CHECK(values.at("loss").get<double>() ==
        doctest::Approx(place.evaluations.back().at("eval_loss").get<double>()).epsilon(1e-6));
  CHECK(values.at("accuracy") == place.evaluations.back().at("eval_accuracy"));
  CHECK(place.run({"eval", "--checkpoint", "a run/best", "--data", "text.txt"}).out.find("perplexity") !=
        std::string::npos);
}

TEST_CASE("the same seed writes the same") {
  const auto sample = [&](std::vector<std::string> more) {
    std::vector<std::string> arguments = {"sample", "--checkpoint", "a run", "--prompt",
                                          "The",    "--tokens",     "30"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const Finished result = trained().run(arguments);
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
