// Pointwise ops, where and tril on the card equal the CPU's.
#include <limits>
#include <memory>

#include "core/pointwise.h"
#include "kernel_test.h"

using namespace galvan;

namespace {

const int64_t kSizes[] = {0, 1, 31, 32, 33, 65, 1023, 1025};

template <class F, class T>
void check_unary(F f, double low) {
  const Stream stream;
  const Cuda cuda{stream};
  for (const int64_t n : kSizes) {
    const auto x = random_values<T>(n, "x", low, 3), dy = random_values<T>(n, "dy");
    const DeviceArray<T> dev_x(x), dev_dy(dy), dev_y(x.size());
    std::vector<T> y(x.size());
    unary<F, T>(Cpu{}, f, x.data(), y.data(), n);
    unary<F, T>(cuda, f, dev_x.data(), dev_y.data(), n);
    check_close(dev_y.values(), y, tolerance<T>(4));
    unary_backward<F, T>(Cpu{}, f, x.data(), dy.data(), y.data(), n);
    unary_backward<F, T>(cuda, f, dev_x.data(), dev_dy.data(), dev_y.data(), n);
    check_close(dev_y.values(), y, tolerance<T>(4));
  }
}

template <class F, class T>
void check_binary(F f, const Shape& shape, const Strides& a_strides, const Strides& b_strides,
                  int64_t skip = 0) {
  const Stream stream;
  const size_t n = static_cast<size_t>(shape.numel());
  const auto a = random_values<T>(shape.numel() + skip, "a", -3, 3),
             b = random_values<T>(shape.numel() + skip, "b", 0.5, 3);
  const DeviceArray<T> dev_a(a), dev_b(b), dev_y(n);
  std::vector<T> y(n);
  binary<F, T, T>(Cpu{}, f, a.data() + skip, a_strides, b.data(), b_strides, y.data(), shape);
  binary<F, T, T>(Cuda{stream}, f, dev_a.data() + skip, a_strides, dev_b.data(), b_strides, dev_y.data(),
                  shape);
  check_close(dev_y.values(), y, tolerance<T>(1));
}

template <class F, class T>
void check_binary_shapes(F f) {
  for (const int64_t n : kSizes) check_binary<F, T>(f, {n}, {1}, {1});
  check_binary<F, T>(f, {65}, {1}, {1}, 1);         // a is not aligned
  check_binary<F, T>(f, {7, 64}, {64, 1}, {0, 1});  // a bias
  check_binary<F, T>(f, {7, 33}, {33, 1}, {0, 1});  // and one without whole packs
  check_binary<F, T>(f, {7, 64}, {64, 1}, {1, 0});  // a scale for each row
  check_binary<F, T>(f, {129}, {1}, {0});           // a scalar
  check_binary<F, T>(f, {5, 7}, {1, 5}, {7, 1});    // transposed
  check_binary<F, T>(f, {3, 5, 8}, {8, 0, 1}, {0, 8, 1});
}

// A few small numbers, so that many are equal, and NaN; of int32_t large ones too, which wrap around.
template <class T>
void fill_with_few_values(const Plain<T>& x, std::string_view stream) {
  const auto random = random_values<float>(static_cast<int64_t>(x.size), stream, -3, 3);
  for (size_t i = 0; i < x.size; ++i) {
    const float value = std::round(random[i]);
    x.host[i] = std::is_same_v<T, bool> ? T(value > 0) : static_cast<T>(value);
    if (i % 7 != 3) continue;
    if constexpr (std::is_same_v<T, int32_t>) x.host[i] = INT32_MAX - x.host[i];
    if constexpr (std::is_convertible_v<T, double> && !std::is_integral_v<T>)
      x.host[i] = T(std::numeric_limits<float>::quiet_NaN());
  }
  x.to_device();
}

template <class F, class T, class Y>
void check_exact_binary(F f) {
  const Stream stream;
  const auto check = [&](const Shape& shape, const Strides& a_strides, const Strides& b_strides) {
    const Plain<T> a(shape.numel()), b(shape.numel());
    const Plain<Y> y(shape.numel());
    fill_with_few_values(a, "a");
    fill_with_few_values(b, "b");
    binary<F, T, Y>(Cpu{}, f, a.host.get(), a_strides, b.host.get(), b_strides, y.host.get(), shape);
    binary<F, T, Y>(Cuda{stream}, f, a.on_device(), a_strides, b.on_device(), b_strides, y.on_device(),
                    shape);
    CHECK(y.same());
  };
  for (const int64_t n : kSizes) check({n}, {1}, {1});
  check({129}, {1}, {0});
  check({7, 64}, {64, 1}, {0, 1});
  check({5, 7}, {1, 5}, {7, 1});
}

template <class F, class T>
void check_exact_unary(F f) {
  const Stream stream;
  for (const int64_t n : kSizes) {
    const Plain<T> x(n), y(n);
    fill_with_few_values(x, "x");
    unary<F, T>(Cpu{}, f, x.host.get(), y.host.get(), n);
    unary<F, T>(Cuda{stream}, f, x.on_device(), y.on_device(), n);
    CHECK(y.same());
  }
}

}  // namespace

TEST_CASE_TEMPLATE("comparisons, minima and maxima are the CPU's exactly", T, float, double, bfloat16,
                   int32_t) {
  check_exact_binary<Equal, T, bool>({});
  check_exact_binary<NotEqual, T, bool>({});
  check_exact_binary<Less, T, bool>({});
  check_exact_binary<LessEqual, T, bool>({});
  check_exact_binary<Minimum, T, T>({});
  check_exact_binary<Maximum, T, T>({});
  check_exact_unary<AddScalar, T>({3});
  check_exact_unary<MulScalar, T>({-5});
}

TEST_CASE("whole numbers wrap around, and truth values compare, as on the CPU") {
  check_exact_binary<Add, int32_t, int32_t>({});
  check_exact_binary<Sub, int32_t, int32_t>({});
  check_exact_binary<Mul, int32_t, int32_t>({});
  check_exact_unary<Abs, int32_t>({});
  check_exact_unary<Clamp, int32_t>({-1, 2});
  check_exact_binary<Equal, bool, bool>({});
  check_exact_binary<NotEqual, bool, bool>({});
}

TEST_CASE_TEMPLATE("unary ops and their gradients equal the CPU's", T, float, double, bfloat16) {
  check_unary<Square, T>({}, -3);
  check_unary<Pow, T>({3.5}, 0.5);
  check_unary<Exp, T>({}, -3);
  check_unary<Log, T>({}, 0.5);
  check_unary<Sqrt, T>({}, 0.5);
  check_unary<Abs, T>({}, -3);
  check_unary<Clamp, T>({-1, 0.5}, -3);
  check_unary<Relu, T>({}, -3);
  check_unary<Silu, T>({}, -3);
  check_unary<Tanh, T>({}, -3);
  check_unary<Sigmoid, T>({}, -3);
  check_unary<GeluTanh, T>({}, -3);
  check_unary<GeluExact, T>({}, -3);
}

TEST_CASE_TEMPLATE("binary ops equal the CPU's, broadcast or not", T, float, double, bfloat16) {
  check_binary_shapes<Add, T>({});
  check_binary_shapes<Sub, T>({});
  check_binary_shapes<Mul, T>({});
  check_binary_shapes<Div, T>({});
  check_binary_shapes<Maximum, T>({});
  check_binary_shapes<LargerShare, T>({});
  check_binary_shapes<SmallerShare, T>({});
}

TEST_CASE_TEMPLATE("where and tril equal the CPU's", T, float, double, bfloat16, int32_t) {
  const Stream stream;
  const Cuda cuda{stream};
  const auto check = [&](const Shape& shape, const Strides& condition_strides, const Strides& b_strides) {
    const int64_t n = shape.numel();
    const auto a = random_values<T>(n, "a", -9, 9), b = random_values<T>(n, "b", -9, 9);
    const auto c = random_values<float>(n, "c");
    const std::unique_ptr<bool[]> condition(new bool[a.size()]);
    for (size_t i = 0; i < a.size(); ++i) condition[i] = c[i] < 0;
    const DeviceArray<T> dev_a(a), dev_b(b), dev_y(a.size());
    const DeviceArray<char> dev_condition(std::vector<char>(condition.get(), condition.get() + a.size()));
    std::vector<T> y(a.size());
    const Strides dense = contiguous_strides(shape);
    where<T>(Cpu{}, condition.get(), condition_strides, a.data(), dense, b.data(), b_strides, y.data(),
             shape);
    where<T>(cuda, reinterpret_cast<const bool*>(dev_condition.data()), condition_strides, dev_a.data(),
             dense, dev_b.data(), b_strides, dev_y.data(), shape);
    check_close(dev_y.values(), y, 0);
  };
  for (const int64_t n : kSizes) {
    check({n}, {1}, {1});
    check({n}, {1}, {0});
  }
  check({3, 5, 64}, {0, 64, 1}, {64 * 5, 64, 1});
  check({5, 7}, {1, 5}, {7, 1});

  for (const int64_t rows : {0, 1, 5}) {
    for (const int64_t columns : {1, 7, 33}) {
      for (const int64_t diagonal : {INT64_MIN, int64_t{-2}, int64_t{0}, int64_t{3}, INT64_MAX}) {
        const auto x = random_values<T>(2 * rows * columns, "x", -9, 9);
        const DeviceArray<T> dev_x(x), dev_y(x.size());
        std::vector<T> y(x.size());
        tril<T>(Cpu{}, x.data(), y.data(), 2, rows, columns, diagonal);
        tril<T>(cuda, dev_x.data(), dev_y.data(), 2, rows, columns, diagonal);
        check_close(dev_y.values(), y, 0);
      }
    }
  }
}
