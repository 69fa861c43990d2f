// Reductions on the card equal the CPU's, over rows and over columns.
#include <optional>

#include "cuda/runtime/recorder.h"
#include "kernel_test.h"

using namespace galvan;

namespace {

struct Sizes {
  int64_t outer, length, inner;
};

std::vector<Sizes> all_sizes() {
  std::vector<Sizes> sizes;
  for (const int64_t length : {1, 31, 32, 33, 65, 1023, 1025, 5001}) {
    sizes.push_back({3, length, 1});
    sizes.push_back({1, length, 33});
  }
  for (const Sizes& more : {Sizes{0, 5, 3}, {3, 5, 0}, {300, 3, 1}, {3, 7, 5}, {2, 70, 65}, {5, 2, 1025}})
    sizes.push_back(more);
  return sizes;
}

// Few different values, so that there are ties.
template <class T>
std::vector<T> small_whole_numbers(int64_t n) {
  std::vector<T> values = random_values<T>(n, "x", -4, 5);
  for (T& value : values)
    value = static_cast<T>(static_cast<float>(static_cast<int>(static_cast<float>(value))));
  return values;
}

}  // namespace

TEST_CASE_TEMPLATE("sum equals the CPU's", T, float, double, bfloat16, int32_t) {
  const Stream stream;
  for (const auto& [outer, length, inner] : all_sizes()) {
    CAPTURE(outer);
    CAPTURE(length);
    CAPTURE(inner);
    const auto x = random_values<T>(outer * length * inner, "x", -9, 9);
    std::vector<T> y(static_cast<size_t>(outer * inner));
    const DeviceArray<T> dev_x(x), dev_y(y.size());
    const double scale = std::is_same_v<T, int32_t> ? 2 : 0.25 / static_cast<double>(length);
    sum<T>(Cpu{}, x.data(), y.data(), outer, length, inner, scale);
    sum<T>(Cuda{stream}, dev_x.data(), dev_y.data(), outer, length, inner, scale);
    check_close(dev_y.values(), y, std::is_same_v<T, int32_t> ? 0 : tolerance<T>(length));
  }
}

TEST_CASE_TEMPLATE("a sum's bits do not depend on where its rows lie", T, float, bfloat16) {
  const Stream stream;
  constexpr int64_t kColumns = 1032;
  for (const int64_t length : {60, 200}) {
    for (const bool of_replica : {false, true}) {
      std::optional<AsReplica> as_replica;
      if (of_replica) as_replica.emplace();
      const auto x = random_values<T>(length * kColumns, "x");
      std::vector<T> behind_one = x, want(kColumns);
      behind_one.insert(behind_one.begin(), T(0));
      const DeviceArray<T> aligned(x), moved(behind_one), y(want.size()), y_moved(want.size());
      sum<T>(Cpu{}, x.data(), want.data(), 1, length, kColumns, 1.0);
      sum<T>(Cuda{stream}, aligned.data(), y.data(), 1, length, kColumns, 1.0);
      sum<T>(Cuda{stream}, moved.data() + 1, y_moved.data(), 1, length, kColumns, 1.0);
      check_close(y.values(), want, tolerance<T>(length));
      check_close(y_moved.values(), y.values(), 0);
    }
  }
}

TEST_CASE("a sum over nothing is 0") {
  const Stream stream;
  const DeviceArray<float> x(0), y(std::vector<float>{3, 3, 3});
  sum<float>(Cuda{stream}, x.data(), y.data(), 3, 0, 1, 1.0);
  check_close(y.values(), std::vector<float>{0, 0, 0}, 0);
}

TEST_CASE_TEMPLATE("max, its gradient and argmax equal the CPU's, with ties and NaN", T, float, double,
                   bfloat16) {
  const Stream stream;
  const Cuda cuda{stream};
  for (const bool with_nan : {false, true}) {
    for (const auto& [outer, length, inner] : all_sizes()) {
      CAPTURE(outer);
      CAPTURE(length);
      CAPTURE(inner);
      auto x = small_whole_numbers<T>(outer * length * inner);
      if (with_nan && !x.empty()) x[x.size() / 2] = static_cast<T>(NAN);
      std::vector<T> y(static_cast<size_t>(outer * inner)), dx(x.size());
      const auto dy = random_values<T>(outer * inner, "dy");
      const DeviceArray<T> dev_x(x), dev_y(y.size()), dev_dy(dy), dev_dx(x.size());
      max<T>(Cpu{}, x.data(), y.data(), outer, length, inner);
      max<T>(cuda, dev_x.data(), dev_y.data(), outer, length, inner);
      check_close(dev_y.values(), y, 0);
      max_backward<T>(Cpu{}, x.data(), y.data(), dy.data(), dx.data(), outer, length, inner);
      max_backward<T>(cuda, dev_x.data(), dev_y.data(), dev_dy.data(), dev_dx.data(), outer, length, inner);
      check_close(dev_dx.values(), dx, tolerance<T>(1));
      if (inner != 1) continue;
      std::vector<int32_t> best(y.size());
      const DeviceArray<int32_t> dev_best(y.size());
      argmax<T>(Cpu{}, x.data(), best.data(), outer, length);
      argmax<T>(cuda, dev_x.data(), dev_best.data(), outer, length);
      CHECK(dev_best.values() == best);
    }
  }
}

TEST_CASE_TEMPLATE("variance equals the CPU's", T, float, double, bfloat16) {
  const Stream stream;
  for (const auto& [outer, length, inner] : all_sizes()) {
    if (inner != 1) continue;
    const auto x = random_values<T>(outer * length, "x", 3, 5);
    std::vector<T> y(static_cast<size_t>(outer));
    const DeviceArray<T> dev_x(x), dev_y(y.size());
    for (const int64_t correction : {0, 1}) {
      variance<T>(Cpu{}, x.data(), y.data(), outer, length, correction);
      variance<T>(Cuda{stream}, dev_x.data(), dev_y.data(), outer, length, correction);
      check_close(dev_y.values(), y, tolerance<T>(length));
    }
  }
}
