#include <doctest/doctest.h>

#include "core/ops.h"

using namespace galvan;

TEST_CASE("binary ops broadcast") {
  const Tensor a = Tensor::from(std::vector<float>{1, 2, 3, 4, 5, 6}, {2, 3});
  const Tensor row = Tensor::from(std::vector<float>{10, 20, 30}, {3});
  const Tensor column = Tensor::from(std::vector<float>{100, 200}, {2, 1});
  CHECK(add(a, row).to_vector() == std::vector<double>{11, 22, 33, 14, 25, 36});
  CHECK(sub(a, column).to_vector() == std::vector<double>{-99, -98, -97, -196, -195, -194});
  CHECK(mul(row, column).to_vector() == std::vector<double>{1000, 2000, 3000, 2000, 4000, 6000});
  CHECK(add(a.transpose(0, 1), column.reshape({2})).to_vector() ==
        std::vector<double>{101, 204, 102, 205, 103, 206});
}
