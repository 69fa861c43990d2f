// Rotary embeddings on the card equal the CPU's.
#include "kernel_test.h"

using namespace galvan;

TEST_CASE_TEMPLATE("rope equals the CPU's, from packed rows too", T, float, double, bfloat16) {
  const Stream stream;
  for (const int64_t D : {2, 6, 64, 66}) {
    for (const int64_t steps : {1, 33}) {
      for (const int64_t position : {3, 5000}) {
        const int64_t B = 14, H = 5, width = (H + 3) * D;
        const RopeSizes sizes{.B = B,
                              .H = H,
                              .T = steps,
                              .D = D,
                              .position = position,
                              .theta = 10000,
                              .inverse = position > 3};
        const auto x = random_values<T>(B * steps * width, "x");
        std::vector<T> y(static_cast<size_t>(B * H * steps * D));
        const DeviceArray<T> dev_x(x), dev_y(y.size());
        const auto from = [&](const T* data) { return HeadRows<const T>{data, steps * width, D, width}; };
        const auto to = [&](T* data) { return HeadRows<T>{data, H * steps * D, steps * D, D}; };
        rope<T>(Cpu{}, sizes, from(x.data()), to(y.data()));
        rope<T>(Cuda{stream}, sizes, from(dev_x.data()), to(dev_y.data()));
        // The angle of a row has two roundings, that of a row that the CPU turned further up to 64 more.
        check_close(dev_y.values(), y, tolerance<T>(1) + (2.0 * (position + steps) + 64) * 0x1p-53);
      }
    }
  }
}
