// Dropout on the card equals the CPU's, bit for bit.
#include "kernel_test.h"

using namespace galvan;

TEST_CASE_TEMPLATE("dropout draws and scales as the CPU's does", T, float, double, bfloat16) {
  const Stream stream;
  const RandomStream random{.seed = 0x123456789abcdef0, .stream = 5, .step = 77, .micro_step = 3};
  for (const int64_t n : {0, 1, 3, 4, 5, 31, 32, 33, 1023, 1025}) {
    const auto x = random_values<T>(n, "x");
    const DeviceArray<T> dev_x(x), dev_y(x.size());
    std::vector<T> y(x.size());
    for (const double p : {0.0, 0.1, 0.5, 0.999}) {
      dropout<T>(Cpu{}, random, p, x.data(), y.data(), n);
      dropout<T>(Cuda{stream}, random, p, dev_x.data(), dev_y.data(), n);
      check_close(dev_y.values(), y, 0);
    }
  }
}

TEST_CASE("dropout reads the step in the card's memory") {
  const Stream stream;
  const RandomStream random{.seed = 9, .stream = 5, .step = 77, .micro_step = 3};
  const DeviceArray<int64_t> step(std::vector<int64_t>{77});
  RandomStream read = random;
  read.step = 0;
  read.step_from = step.data();
  const auto x = random_values<float>(1025, "x");
  const DeviceArray<float> dev_x(x), dev_y(x.size());
  std::vector<float> y(x.size());
  dropout<float>(Cpu{}, random, 0.5, x.data(), y.data(), 1025);
  dropout<float>(Cuda{stream}, read, 0.5, dev_x.data(), dev_y.data(), 1025);
  check_close(dev_y.values(), y, 0);
}
