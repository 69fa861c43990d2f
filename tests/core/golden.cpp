// The golden inputs are what Python made: three elements of a few seeds, and a whole op computed by hand.
#include "golden.h"

#include <doctest/doctest.h>

using namespace galvan;

TEST_CASE("golden inputs equal the ones that PyTorch was given") {
  // python3 -c 'from inputs import *; print(numbers(real((4,), 7)), numbers(integer((6,), 11, 17)))'
  CHECK(golden_input(4, 7) == std::vector<double>{-0.9022608413361013, -0.9370856103487313,
                                                  0.21088476572185755, 0.25390073331072927});
  CHECK(golden_integers(6, 11, 17) == std::vector<int32_t>{0, 9, 6, 13, 15, 3});
}

TEST_CASE("golden cases hold what their op answers") {
  for (const GoldenCase& c : golden_cases("mul")) {
    if (c.name != "mul same shape") continue;
    REQUIRE(c.inputs.size() == 2);
    REQUIRE(c.outputs.size() == 1);
    const GoldenInput &a = c.inputs[0], &b = c.inputs[1];
    const GoldenOutput& y = c.outputs[0];
    CHECK(y.shape == std::vector<int64_t>{3, 5, 2});
    for (size_t i = 0; i < y.values.size(); ++i) {
      CHECK(y.values[i] == a.values[i] * b.values[i]);
      CHECK(a.grad[i] == y.upstream[i] * b.values[i]);
      CHECK(b.grad[i] == y.upstream[i] * a.values[i]);
    }
  }
  CHECK_THROWS_WITH_AS(golden_cases("nonsense"), "golden_cases: ops.json has no case for nonsense", Error);
}

TEST_CASE("golden tensors are read from safetensors") {
  // The f32 run ends near the f64 one, and none of these biases stays or becomes zero.
  const std::string name = "transformer.h.1.mlp.c_fc.bias";
  const std::vector<double> wide = golden_tensor("training.safetensors", "gpt2/f64/sgd/" + name);
  const std::vector<double> narrow = golden_tensor("training.safetensors", "gpt2/f32/sgd/" + name);
  REQUIRE(wide.size() == 64);
  REQUIRE(narrow.size() == 64);
  for (size_t i = 0; i < wide.size(); ++i) {
    CHECK(wide[i] != 0.0);
    CHECK(std::fabs(wide[i] - narrow[i]) < 5e-6);
  }
  CHECK_THROWS_WITH_AS(golden_tensor("training.safetensors", "x"),
                       "golden_tensor: training.safetensors has no x", Error);
}
