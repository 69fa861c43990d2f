// `galvan profile` on the card: each op's launches.
#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "tests/apps/command.h"

using namespace galvan;

TEST_CASE("profile --device cuda counts launches, and tells of no time that means nothing") {
  const Workplace place;
  const Finished done =
      place.run({"profile", "--device",  "cuda", "--data",    "text.txt", "--layers",     "1", "--heads",
                 "1",       "--width",   "16",   "--context", "8",        "--batch-size", "2", "--steps",
                 "20",      "--samples", "1",    "--kernels", "--trace",  "trace.json"});
  REQUIRE_MESSAGE(done.code == 0, done.err);
  CHECK(done.out.find("launches") != std::string::npos);
  CHECK(done.out.find("norm_forward_in_registers") != std::string::npos);
  CHECK(done.out.find("cublasLt") != std::string::npos);
#ifdef GALVAN_CUDA_SIM
  CHECK(done.out.find("times mean nothing") != std::string::npos);
  CHECK(done.out.find("floor, ms") == std::string::npos);
#endif
  int64_t launches = 0;
  const auto trace = nlohmann::json::parse(place.read("trace.json"));
  for (const auto& event : trace.at("traceEvents"))
    if (event.at("args").contains("launches"))
      launches += static_cast<int64_t>(event.at("args").at("launches").size());
  CHECK(launches > 20);
}
