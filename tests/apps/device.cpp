// A build with CUDA on a machine whose cards are hidden from it, or that has none.
#include <doctest/doctest.h>

#include <cstdlib>

#include "tests/apps/command.h"

using namespace galvan;

#if defined(GALVAN_CUDA) && !defined(GALVAN_CUDA_SIM)

TEST_CASE("without a card --device cuda is an error, and auto computes on the processor and says why") {
  ::setenv("CUDA_VISIBLE_DEVICES", "", 1);
  const Workplace place;
  const auto one_of = [](const std::string& text, const std::string& before, const std::string& after) {
    for (const char* reason : {"there is no NVIDIA driver", "no CUDA-capable device is detected"})
      if (text.find(before + reason + after) != std::string::npos) return true;
    return text.find(before + "the driver supports CUDA ") != std::string::npos;
  };
  const Finished refused = place.run(Workplace::train("refused", {"--device", "cuda"}));
  CHECK(refused.code == 1);
  CHECK_MESSAGE(one_of(refused.err, "galvan: --device cuda: ", "; --device cpu computes on the processor\n"),
                refused.err);
  CHECK_FALSE(place.has("refused"));

  const Finished automatic = place.run(Workplace::train("automatic", {"--device", "auto"}));
  CHECK_MESSAGE(automatic.code == 0, automatic.err);
  CHECK_MESSAGE(one_of(automatic.no_card, "No CUDA card is used: ", ".\n"), automatic.no_card);
  CHECK(automatic.err.empty());
  CHECK(place.read("automatic/config.toml").find("device = \"cpu\"") != std::string::npos);

  const Finished info = place.run({"info", "--threads", "1"});
  CHECK_MESSAGE(info.code == 0, info.err);
  CHECK_MESSAGE(one_of(info.out, "no card can be used: ", ""), info.out);
  ::unsetenv("CUDA_VISIBLE_DEVICES");
}

#endif
