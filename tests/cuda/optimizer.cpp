// The updates on the card equal the CPU's.
#include "kernel_test.h"

using namespace galvan;

namespace {

// Two steps of update(context, piece, c) on n elements, here and on the card, from element `offset` of their
// arrays on.
template <class T, class Coefficients, class Update>
void check_update(Update update, int64_t n, int64_t offset, const Coefficients& c) {
  using M = Acc<T>;
  const Stream stream;
  const Cuda cuda{stream};
  const int64_t size = n + offset;
  Both<T> weight(random_values<T>(size, "weight")), grad(random_values<T>(size, "grad"));
  Both<M> master(std::vector<M>(weight.host.begin(), weight.host.end()));
  Both<M> state0(random_values<M>(size, "state0")), state1(random_values<M>(size, "state1", 0, 1));
  const auto step = [&](auto on) {
    T* const w = weight.on(on) + offset;
    M* m = nullptr;
    if constexpr (std::is_same_v<T, M>) {
      m = w;
    } else {
      m = master.on(on) + offset;
    }
    update(on, UpdatePiece<T>{w, m, grad.on(on) + offset, state0.on(on) + offset, state1.on(on) + offset, n},
           c);
  };
  for (int i = 0; i < 2; ++i) {
    step(Cpu{});
    step(cuda);
  }
  weight.check(tolerance<T>(1));
  master.check(tolerance<M>(1));
  state0.check(tolerance<M>(1));
  state1.check(tolerance<M>(1));
}

constexpr int64_t kSizes[] = {0, 1, 3, 31, 32, 33, 65, 1023, 1024, 1025};

const auto sgd = [](auto on, const auto& piece, const SgdCoefficients& c) { sgd_update(on, piece, c); };
const auto adam = [](auto on, const auto& piece, const AdamCoefficients& c) { adam_update(on, piece, c); };

}  // namespace

TEST_CASE_TEMPLATE("sgd_update equals the CPU's", T, float, double, bfloat16) {
  SgdCoefficients c{.grad_scale = -0.7,
                    .lr = 0.1,
                    .momentum = 0.9,
                    .gain = 0.8,
                    .weight_decay = 0.01,
                    .nesterov = 0.9,
                    .has_momentum = true,
                    .lr_inside = false};
  for (const int64_t n : kSizes) {
    CAPTURE(n);
    for (const int64_t offset : {0, 1, 4}) check_update<T>(sgd, n, offset, c);
  }
  for (int form = 0; form < 8; ++form) {
    CAPTURE(form);
    c.has_momentum = form & 1;
    c.lr_inside = form & 2;
    c.nesterov = form & 4 ? 0.9 : 0.0;
    check_update<T>(sgd, 37, 0, c);
  }
}

TEST_CASE_TEMPLATE("adam_update equals the CPU's", T, float, double, bfloat16) {
  const AdamCoefficients c{.grad_scale = 0.3,
                           .decay = 0.999,
                           .weight_decay = 0.01,
                           .beta1 = 0.9,
                           .beta2 = 0.99,
                           .step_size = 0.01,
                           .inverse_root = 3.1,
                           .eps = 1e-8};
  for (const int64_t n : kSizes) {
    CAPTURE(n);
    for (const int64_t offset : {0, 1, 4}) check_update<T>(adam, n, offset, c);
  }
}

TEST_CASE_TEMPLATE("sum_of_squares equals the CPU's", T, float, double, bfloat16) {
  const Stream stream;
  const Cuda cuda{stream};
  for (const int64_t n : {0, 1, 31, 32, 33, 1023, 1024, 1025, 70000}) {
    CAPTURE(n);
    Both<T> x(random_values<T>(n, "x"));
    const double sum = sum_of_squares<T>(Cpu{}, x.host.data(), n);
    CHECK(std::fabs(sum_of_squares<T>(cuda, x.device.data(), n) - sum) <= 1e-13 * sum);
  }
  // Squares that no float holds.
  const Both<T> large(std::vector<T>(3, T(1e30f)));
  const double one = static_cast<Acc<T>>(large.host[0]);
  CHECK(sum_of_squares<T>(cuda, large.device.data(), 3) == doctest::Approx(3 * one * one));
}

TEST_CASE("adopt_masters takes over what does not round to its weight") {
  const Stream stream;
  const Cuda cuda{stream};
  for (const int64_t n : kSizes) {
    CAPTURE(n);
    Both<float> masters(random_values<float>(n, "masters"));
    std::vector<bfloat16> values(masters.host.begin(), masters.host.end());
    for (size_t i = 0; i < values.size(); i += 3) values[i] = bfloat16(0.25f);
    Both<bfloat16> weights(values);
    adopt_masters(Cpu{}, weights.on(Cpu{}), masters.on(Cpu{}), n);
    adopt_masters(cuda, weights.on(cuda), masters.on(cuda), n);
    masters.check(0);
    if (n > 1) CHECK(masters.host[0] == 0.25f);
    if (n > 1) CHECK(masters.host[1] != static_cast<float>(values[1]));
  }
}
