// Copies and fills on the card equal the CPU's, bit for bit.
#include "kernel_test.h"

using namespace galvan;

namespace {

template <class From, class To>
void check_copy(const Shape& shape, const Strides& x_strides, const Strides& y_strides, int64_t x_size,
                int64_t y_size, int64_t skip = 0) {
  const int64_t n = x_size + skip;
  const Plain<From> x(n);
  const Plain<To> y(y_size);
  const std::vector<float> numbers = random_values<float>(n, "x", -3, 3);
  strided_copy<float, From>(Cpu{}, numbers.data(), {1}, x.host.get(), {1}, {n});
  x.to_device();

  const Stream stream;
  strided_copy<From, To>(Cpu{}, x.host.get() + skip, x_strides, y.host.get(), y_strides, shape);
  strided_copy<From, To>(Cuda{stream}, x.on_device() + skip, x_strides, y.on_device(), y_strides, shape);
  CHECK(y.same());
}

template <class From, class To>
void check_copies() {
  for (const int64_t n : {0, 1, 31, 32, 33, 65, 1023, 1025}) check_copy<From, To>({n}, {1}, {1}, n, n);
  check_copy<From, To>({33}, {1}, {1}, 33, 33, 1);                     // not aligned
  check_copy<From, To>({7, 5}, {1, 7}, {5, 1}, 35, 35);                // transposed
  check_copy<From, To>({33, 65}, {1, 33}, {70, 1}, 33 * 65, 33 * 70);  // by tiles
  check_copy<From, To>({2, 8, 3, 40}, {960, 1, 8, 24}, {960, 120, 40, 1}, 1920, 1920);
  check_copy<From, To>({3, 32, 5}, {0, 1, 32}, {160, 5, 1}, 160, 480);  // repeated, transposed
  check_copy<From, To>({6, 32}, {32, 1}, {64, 1}, 192, 384);            // into a slice
  check_copy<From, To>({4, 64}, {1, 0}, {64, 1}, 4, 256);               // the innermost repeated
  check_copy<From, To>({2, 3, 2, 3, 2}, {1, 2, 6, 12, 36}, {36, 12, 6, 2, 1}, 72, 72);
}

}  // namespace

TEST_CASE_TEMPLATE("strided_copy equals the CPU's for all pairs of types", From, float, double, bfloat16,
                   int32_t, bool) {
  check_copies<From, float>();
  check_copies<From, double>();
  check_copies<From, bfloat16>();
  check_copies<From, int32_t>();
  check_copies<From, bool>();
}

TEST_CASE_TEMPLATE("fill leaves what lies between", T, float, double, bfloat16, int32_t) {
  const Stream stream;
  for (const int64_t n : {0, 1, 33, 1025}) {
    const DeviceArray<T> dense(static_cast<size_t>(n)), every_second(static_cast<size_t>(2 * n));
    fill<T>(Cuda{stream}, dense.data(), {1}, {n}, T(2.5f));
    fill<T>(Cuda{stream}, every_second.data(), {2}, {n}, T(2.5f));
    const std::vector<T> a = dense.values(), b = every_second.values();
    bool good = true;
    for (size_t i = 0; i < a.size(); ++i)
      good = good && a[i] == T(2.5f) && b[2 * i] == T(2.5f) && b[2 * i + 1] == T{};
    CHECK(good);
  }
}
