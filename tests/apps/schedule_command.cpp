// `galvan schedule` and `galvan info`.
#include <doctest/doctest.h>

#include "tests/apps/command.h"

using namespace galvan;

TEST_CASE("schedules as CSV") {
  const Workplace place;
  const Finished cyclic =
      place.run({"schedule", "--policy", "cyclic", "--base-lr", "0.001", "--max-lr", "0.1", "--step-size-up",
                 "400", "--mode", "triangular", "--steps", "3000", "--csv"});
  CHECK(cyclic.code == 0);
  CHECK(std::count(cyclic.out.begin(), cyclic.out.end(), '\n') == 3001);
  CHECK(cyclic.out.starts_with(
      "step,lr,momentum\n0,0.001,0.90000000000000002\n1,0.0012474999999999999,0.89975"));
  CHECK(cyclic.out.find("\n400,0.10000000000000001,0.80000000000000004\n") != std::string::npos);

  const Finished step = place.run({"schedule", "--policy", "step", "--lr", "1", "--step-size", "2", "--gamma",
                                   "0.5", "--steps", "4", "--csv"});
  CHECK(step.out == "step,lr,momentum\n0,1,\n1,1,\n2,0.5,\n3,0.5,\n");
  const Finished fixed = place.run(
      {"schedule", "--policy", "constant", "--lr", "0.5", "--momentum", "0.75", "--steps", "1", "--csv"});
  CHECK(fixed.out == "step,lr,momentum\n0,0.5,0.75\n");
  const Finished still = place.run({"schedule", "--policy", "cyclic", "--max-lr", "1", "--base-lr", "0.5",
                                    "--no-cycle-momentum", "--steps", "1", "--csv"});
  CHECK(still.out == "step,lr,momentum\n0,0.5,\n");
  CHECK(place
            .run({"schedule", "--policy", "one-cycle", "--max-lr", "1", "--total-steps", "7", "--anneal",
                  "linear", "--three-phase", "--csv"})
            .code == 0);
}

TEST_CASE("schedules as pictures") {
  const Workplace place;
  CHECK(place.run({"schedule", "--policy", "one-cycle", "--max-lr", "0.1", "--steps", "100"})
            .out.find("OneCycleLR") != std::string::npos);
  CHECK(place.run({"schedule", "--policy", "cosine", "--svg", "c.svg"}).code == 0);
  CHECK(place.read("c.svg").starts_with("<svg"));
}

TEST_CASE("schedules that make no sense") {
  const Workplace place;
  const Finished unknown = place.run({"schedule", "--policy", "foo"});
  CHECK(unknown.code == 2);
  CHECK(unknown.err ==
        "galvan: --policy: there is no 'foo'; there are cosine, cyclic, one-cycle, step, exponential, "
        "cosine-annealing, constant; `galvan schedule --help` shows the options\n");
  CHECK(place.run({"schedule", "--policy", "exponential"}).code == 2);
  const Finished past =
      place.run({"schedule", "--policy", "one-cycle", "--steps", "6", "--total-steps", "5"});
  CHECK(past.code == 1);
  CHECK(past.err == "galvan: OneCycleLR: step 5 is past the end of 5 steps\n");
  const Finished many =
      place.run({"schedule", "--policy", "one-cycle", "--total-steps", "1000000000000", "--csv"});
  CHECK(many.code == 2);
  CHECK(many.err ==
        "galvan: --total-steps: 1000000000000 are too many to show; --steps N shows the first; `galvan "
        "schedule "
        "--help` shows the options\n");
}

TEST_CASE("info and help") {
  const Workplace place;
  const Finished info = place.run({"info", "--threads", "1"});
  CHECK(info.code == 0);
  CHECK(info.out.find("threads        1\n") != std::string::npos);
#ifdef GALVAN_CUDA
  CHECK((info.out.find("CUDA           driver for ") != std::string::npos ||
         info.out.find("CUDA           no card can be used: ") != std::string::npos));
#else
  CHECK(info.out.find("CUDA           not in this build\n") != std::string::npos);
#endif
  for (const char* command : {"train", "sample", "eval", "schedule", "info"}) {
    const Finished help = place.run({command, "--help"});
    CHECK(help.code == 0);
    CHECK(help.out.size() > 300);
  }
  CHECK(place.run({"--version"}).out.starts_with("galvan "));
}
