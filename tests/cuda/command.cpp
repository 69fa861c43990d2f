// The command on the card: trains on a text, goes on after a kill, evaluates, writes.
#include <doctest/doctest.h>

#include <cmath>

#include "tests/apps/command.h"

using namespace galvan;

namespace {

std::vector<std::string> train(const std::string& out, std::vector<std::string> more = {}) {
  more.insert(more.begin(), {"--device", "cuda", "--eval-every", "100", "--save-every", "4"});
  return Workplace::train(out, more);
}

}  // namespace

TEST_CASE("train --device cuda learns from a text, says where it computes, and follows the CPU") {
  const Workplace place;
  const Finished card = place.run(train("card", {"--dtype", "f32"}));
  REQUIRE_MESSAGE(card.code == 0, card.err);
  CHECK(card.out.find("compute capability") != std::string::npos);
#ifdef GALVAN_CUDA_SIM
  CHECK(card.out.find("simulated on the processor") != std::string::npos);
  CHECK(card.out.find("of peak") == std::string::npos);  // time means nothing there
#endif
  CHECK(place.read("card/config.toml").find("device = \"cuda\"") != std::string::npos);

  const Finished host = place.run(train("host", {"--dtype", "f32", "--device", "cpu"}));
  REQUIRE_MESSAGE(host.code == 0, host.err);
  const auto on_card = place.metrics("card"), on_host = place.metrics("host");
  REQUIRE(on_card.size() == on_host.size());
  for (size_t i = 0; i < on_host.size(); ++i)
    for (const char* what : {"loss", "eval_loss"}) {
      REQUIRE(on_card[i].contains(what) == on_host[i].contains(what));
      if (on_host[i].contains(what))
        CHECK(std::fabs(on_card[i].at(what).get<double>() - on_host[i].at(what).get<double>()) < 1e-4);
    }

  // The same model there and here: what it says is what it says.
  const auto eval = [&](const std::string& device) {
    const Finished done =
        place.run({"eval", "--checkpoint", "card", "--data", "text.txt", "--json", "--device", device});
    REQUIRE_MESSAGE(done.code == 0, done.err);
    return nlohmann::json::parse(done.out).at("loss").get<double>();
  };
  CHECK(std::fabs(eval("cuda") - eval("cpu")) < 1e-4);
  const auto sample = [&](const std::string& device) {
    const Finished done = place.run({"sample", "--checkpoint", "card", "--prompt", "The cat", "--tokens",
                                     "20", "--greedy", "--device", device});
    REQUIRE_MESSAGE(done.code == 0, done.err);
    return done.out;
  };
  CHECK(sample("cuda") == sample("cpu"));
}

TEST_CASE("a run on the card that is killed and resumed ends in the same bits, replayed or not") {
  const Workplace place;
  const std::vector<std::string> options = {"--schedule",     "cyclic", "--max-lr",  "0.01",
                                            "--step-size-up", "5",      "--dropout", "0.1"};
  const auto with = [&](std::vector<std::string> more) {
    more.insert(more.end(), options.begin(), options.end());
    return more;
  };
  REQUIRE(place.run(train("whole", with({}))).code == 0);
  REQUIRE(place.run(train("plain", with({"--no-graph"}))).code == 0);
  check_equal_runs(place, "whole", "plain");
  {
    Child child(place.path, train("cut", with({"--steps", "1000000"})));
    wait_until([&] { return place.steps_done("cut") >= 5; });
    child.send(SIGKILL);
    CHECK(child.wait().code == -SIGKILL);
  }
  const Finished rest = place.run({"train", "--out", "cut", "--resume", "--steps", "12"});
  REQUIRE_MESSAGE(rest.code == 0, rest.err);
  check_equal_runs(place, "whole", "cut");
}

TEST_CASE("on the card, too, a rate that is too high ends in one clear line") {
  const Workplace place;
  const Finished done = place.run(
      train("burst", {"--optimizer", "sgd", "--lr", "1e30", "--clip", "0", "--schedule", "constant"}));
  CHECK(done.code == 1);
  CHECK(done.err.find("galvan: step ") == 0);
  CHECK(done.err.find("First bad value: ") != std::string::npos);
}

// Replicas' kernels may sum in another order than a single run's; to the last bit they are compared in replicas.cpp.
TEST_CASE("replicas on one card go as each goes alone, but for rounding") {
  const Workplace place;
  write_file_atomically(place.path / "study.toml", R"(sampler = "grid"
[fixed]
data = "text.txt"
device = "cuda"
dtype = "f32"
layers = 1
heads = 2
width = 32
context = 16
batch-size = 4
steps = 4
eval-every = 4
dropout = 0.1
[vary]
lr = { choice = [1e-3, 1e-2, 1e-1] }
)");
  const Finished done = place.run({"tune", "study.toml", "--out", "study", "--batched", "2"});
  REQUIRE_MESSAGE(done.code == 0, done.err);
  for (const std::string trial : {"0", "1", "2"}) {
    CAPTURE(trial);
    const std::string run = "study/trials/" + trial;
    REQUIRE(place.run({"train", "--config", run + "/options.toml", "--out", trial}).code == 0);
    const auto together = place.metrics(run), alone = place.metrics(trial);
    REQUIRE(together.size() == alone.size());
    for (size_t i = 0; i < alone.size(); ++i)
      if (alone[i].contains("loss"))
        CHECK(std::fabs(together[i].at("loss").get<double>() - alone[i].at("loss").get<double>()) < 1e-3);
  }
}
