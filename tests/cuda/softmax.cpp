// Softmax and log-softmax on the card equal the CPU's.
#include "kernel_test.h"

using namespace galvan;

TEST_CASE_TEMPLATE("softmax and log_softmax equal the CPU's", T, float, double, bfloat16) {
  const Stream stream;
  const Cuda cuda{stream};
  for (const int64_t rows : {0, 1, 3, 5}) {
    for (const int64_t columns : {1, 31, 32, 33, 65, 1023, 1025}) {
      CAPTURE(rows);
      CAPTURE(columns);
      const auto x = random_values<T>(rows * columns, "x", -8, 8),
                 dy = random_values<T>(rows * columns, "dy");
      const DeviceArray<T> dev_x(x), dev_dy(dy), dev_y(x.size()), dev_dx(x.size());
      std::vector<T> y(x.size()), dx(x.size());
      const auto both = [&](auto forward, auto backward) {
        forward(Cpu{}, x.data(), y.data(), rows, columns);
        forward(cuda, dev_x.data(), dev_y.data(), rows, columns);
        check_close(dev_y.values(), y, tolerance<T>(columns));
        // The gradient of what the card has computed.
        y = dev_y.values();
        backward(Cpu{}, y.data(), dy.data(), dx.data(), rows, columns);
        backward(cuda, dev_y.data(), dev_dy.data(), dev_dx.data(), rows, columns);
        check_close(dev_dx.values(), dx, tolerance<T>(columns));
      };
      both([](auto on, auto... p) { softmax_forward<T>(on, p...); },
           [](auto on, auto... p) { softmax_backward<T>(on, p...); });
      both([](auto on, auto... p) { log_softmax_forward<T>(on, p...); },
           [](auto on, auto... p) { log_softmax_backward<T>(on, p...); });
    }
  }
}
