// bias_gelu and silu_mul on the card equal the CPU's.
#include "core/pointwise.h"
#include "kernel_test.h"

using namespace galvan;

namespace {

template <class T, class F>
void check_bias_unary(F f, int64_t rows, int64_t columns, bool want_dbias) {
  const Stream stream;
  const Cuda cuda{stream};
  const int64_t n = rows * columns;
  Both<T> x(random_values<T>(n, "x", -6, 6)), bias(random_values<T>(columns, "bias")),
      dy(random_values<T>(n, "dy"));
  Both<T> y(n), dx(n), dbias(columns);
  Both<Acc<T>> partial(row_blocks(rows) * columns);
  const auto both = [&](auto on) {
    bias_unary<F, T>(on, f, x.on(on), bias.on(on), y.on(on), rows, columns);
    bias_unary_backward<F, T>(on, f, x.on(on), bias.on(on), dy.on(on), dx.on(on), dbias.on(on, want_dbias),
                              partial.on(on), rows, columns);
  };
  both(Cpu{});
  both(cuda);
  y.check(tolerance<T>(1));
  dx.check(tolerance<T>(1));
  dbias.check(tolerance<T>(rows));
}

template <class T>
void check_silu_mul(int64_t n) {
  const Stream stream;
  const Cuda cuda{stream};
  Both<T> gate(random_values<T>(n, "gate", -6, 6)), up(random_values<T>(n, "up")),
      dy(random_values<T>(n, "dy"));
  Both<T> y(n), dgate(n), dup(n);
  const auto both = [&](auto on) {
    silu_mul_forward<T>(on, gate.on(on), up.on(on), y.on(on), n);
    silu_mul_backward<T>(on, gate.on(on), up.on(on), dy.on(on), dgate.on(on), dup.on(on), n);
  };
  both(Cpu{});
  both(cuda);
  y.check(tolerance<T>(1));
  dgate.check(tolerance<T>(1));
  dup.check(tolerance<T>(1));
}

}  // namespace

TEST_CASE_TEMPLATE("bias_gelu equals the CPU's", T, float, double, bfloat16) {
  for (const int64_t rows : {0, 1, 9, 33}) {
    for (const int64_t columns : {0, 1, 31, 32, 33, 264, 1025}) {
      CAPTURE(rows);
      CAPTURE(columns);
      check_bias_unary<T>(GeluTanh(), rows, columns, true);
      check_bias_unary<T>(GeluExact(), rows, columns, false);
    }
  }
  check_bias_unary<T>(GeluTanh(), 1025, 5, true);
}

TEST_CASE_TEMPLATE("silu_mul equals the CPU's", T, float, double, bfloat16) {
  for (const int64_t n : {0, 1, 31, 32, 33, 65, 1023, 1024, 1025, 5000}) {
    CAPTURE(n);
    check_silu_mul<T>(n);
  }
}
