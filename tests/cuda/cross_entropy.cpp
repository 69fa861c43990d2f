// Cross-entropy on the card equals the CPU's.
#include <cstring>

#include "kernel_test.h"

using namespace galvan;

namespace {

constexpr int64_t kIgnore = -100;

// Some class of V in most rows; every third row is ignored.
std::vector<int32_t> some_targets(int64_t rows, int64_t classes) {
  std::vector<int32_t> targets(static_cast<size_t>(rows));
  for (int64_t r = 0; r < rows; ++r)
    targets[static_cast<size_t>(r)] = static_cast<int32_t>(r % 3 == 1 ? kIgnore : (r * 17 + 5) % classes);
  return targets;
}

template <class T>
void check_cross_entropy(std::vector<T> values, int64_t rows, int64_t classes, double smoothing, bool mean) {
  using A = Acc<T>;
  const Stream stream;
  const Cuda cuda{stream};
  Both<T> logits(std::move(values)), dlogits(rows * classes);
  Both<int32_t> targets(some_targets(rows, classes));
  Both<A> losses(rows), log_sums(rows), loss(1), weight(1), dy(random_values<A>(rows, "dy"));
  const auto rows_on = [&](auto on) {
    return CrossEntropyRows{targets.on(on), rows, classes, kIgnore, smoothing};
  };

  const auto forward = [&](auto on) {
    cross_entropy_forward<T>(on, rows_on(on), logits.on(on), losses.on(on), log_sums.on(on));
  };
  forward(Cpu{});
  forward(cuda);
  log_sums.check(tolerance<A>(classes));
  losses.check(16 * tolerance<A>(classes));  // the numbers that a loss is the difference of

  losses.host = losses.device.values();
  const auto total = [&](auto on) {
    cross_entropy_total<A>(on, rows_on(on), losses.on(on), mean, loss.on(on));
    cross_entropy_weight<A>(on, rows_on(on), weight.on(on));
  };
  total(Cpu{});
  total(cuda);
  loss.check(tolerance<A>(1));
  weight.check(0);

  log_sums.host = log_sums.device.values();
  const auto backward = [&](auto on) {
    cross_entropy_backward<T>(on, rows_on(on), logits.on(on), log_sums.on(on), dy.on(on), dlogits.on(on));
  };
  backward(Cpu{});
  backward(cuda);
  dlogits.check(tolerance<T>(1));

  // Both at once: with one weight for all rows, first 1 / R, then beside the logits, then in their place.
  if (rows == 0) return;
  Both<A> one_weight(std::vector<A>{A(0.25)}), again(rows);
  const auto both = [&](auto on, bool in_place) {
    cross_entropy_both<T>(on, rows_on(on), logits.on(on), one_weight.on(on), again.on(on),
                          in_place ? logits.on(on) : dlogits.on(on));
  };
  Both<A> losses_of_both(rows);
  const auto mean_of_all = [&](auto on) {
    cross_entropy_both<T>(on, rows_on(on), logits.on(on), nullptr, losses_of_both.on(on), dlogits.on(on));
  };
  mean_of_all(Cpu{});
  mean_of_all(cuda);
  dlogits.check(tolerance<T>(classes));
  losses_of_both.check(16 * tolerance<A>(classes));
  both(Cpu{}, false);
  both(cuda, false);
  dlogits.check(tolerance<T>(classes));
  again.check(16 * tolerance<A>(classes));
  both(Cpu{}, true);
  both(cuda, true);
  CHECK(std::memcmp(logits.host.data(), dlogits.host.data(), sizeof(T) * logits.host.size()) == 0);
  const std::vector<T> in_place = logits.device.values(), beside = dlogits.device.values();
  CHECK(std::memcmp(in_place.data(), beside.data(), sizeof(T) * beside.size()) == 0);
}

}  // namespace

TEST_CASE_TEMPLATE("cross_entropy equals the CPU's", T, float, double, bfloat16) {
  for (const int64_t classes : {1, 5, 31, 32, 33, 64, 65, 1023, 1025, 4104}) {
    for (const int64_t rows : {1, 5}) {
      CAPTURE(classes);
      CAPTURE(rows);
      check_cross_entropy(random_values<T>(rows * classes, "logits", -8, 8), rows, classes, 0.0, rows == 5);
    }
    check_cross_entropy(random_values<T>(2 * classes, "logits", -8, 8), 2, classes, 0.1, true);
  }
  // NaN, the mean of nothing, and 0 as a sum.
  check_cross_entropy<T>({}, 0, 7, 0.0, true);
  check_cross_entropy<T>({}, 0, 7, 0.0, false);
}

TEST_CASE_TEMPLATE("cross_entropy of huge and of excluded logits equals the CPU's", T, float, double,
                   bfloat16) {
  const int64_t classes = 2051;
  auto logits = random_values<T>(3 * classes, "logits", -8, 8);
  for (int64_t i = 0; i < classes; ++i) logits[static_cast<size_t>(i)] = static_cast<T>(i % 2 ? -1e4f : 1e4f);
  for (int64_t i = classes; i < 3 * classes; i += 3) logits[static_cast<size_t>(i)] = T(-INFINITY);
  check_cross_entropy(logits, 3, classes, 0.0, true);
  logits[7] = T(NAN);
  check_cross_entropy(logits, 3, classes, 0.0, true);
}

TEST_CASE("cross_entropy_total sums many rows") {
  check_cross_entropy(random_values<float>(5 * 1025, "logits", -3, 3), 1025, 5, 0.0, true);
}
