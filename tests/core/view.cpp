// Views: the strides a shape can be read with.
#include <doctest/doctest.h>

#include "core/ops.h"

using namespace galvan;

TEST_CASE("reshape of broadcast and sliced dimensions beside dimensions of size 1") {
  const Tensor x = Tensor::arange(6).reshape({1, 1, 1, 2, 3});
  const Tensor repeated = x.expand({1, 1, 2, 2, 3}).reshape({1, 2, 2, 3});
  CHECK(repeated.to_vector() == std::vector<double>{0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4, 5});
  const Tensor sliced = Tensor::arange(24).reshape({4, 1, 6}).slice(0, 0, 4, 2).slice(2, 1, 3);
  CHECK(sliced.reshape({4}).to_vector() == std::vector<double>{1, 2, 13, 14});
  CHECK(sliced.reshape({1, 2, 1, 2}).to_vector() == std::vector<double>{1, 2, 13, 14});
}
