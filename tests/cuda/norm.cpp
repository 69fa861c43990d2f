// Norms on the card equal the CPU's: every optional part given and left out.
#include "cuda/runtime/recorder.h"
#include "kernel_test.h"

using namespace galvan;

namespace {

struct Parts {
  bool centered, residual, weight, bias;
};

template <class T>
void check_norm(int64_t rows, int64_t columns, Parts parts) {
  using A = Acc<T>;
  const Stream stream;
  const Cuda cuda{stream};
  const int64_t n = rows * columns;
  Both<T> x(random_values<T>(n, "x")), residual(random_values<T>(n, "residual")),
      weight(random_values<T>(columns, "weight")), bias(random_values<T>(columns, "bias"));
  Both<T> sum(n), y(n);
  Both<A> mean(rows), rstd(rows);
  const auto forward = [&](auto on) {
    norm_forward<T>(on, {.x = x.on(on),
                         .residual = residual.on(on, parts.residual),
                         .weight = weight.on(on, parts.weight),
                         .bias = bias.on(on, parts.bias),
                         .sum = sum.on(on, parts.residual),
                         .y = y.on(on),
                         .mean = mean.on(on, parts.centered),
                         .rstd = rstd.on(on),
                         .rows = rows,
                         .columns = columns,
                         .eps = 1e-3});
  };
  forward(Cpu{});
  forward(cuda);
  // The statistics' error is multiplied by what rstd may be.
  sum.check(0);
  y.check(8 * tolerance<T>(columns));
  mean.check(tolerance<A>(columns));
  rstd.check(8 * tolerance<A>(columns));

  // The gradients of what the card has computed.
  Both<T> s(parts.residual ? sum.device.values() : x.host), dy(random_values<T>(n, "dy")),
      dsum(random_values<T>(n, "dsum"));
  Both<A> s_mean(mean.device.values()), s_rstd(rstd.device.values());
  Both<T> dx(n), dweight(columns), dbias(columns);
  Both<A> partial(2 * row_blocks(rows) * columns);
  const auto backward = [&](auto on) {
    norm_backward<T>(on, {.dsum = dsum.on(on, parts.residual),
                          .dy = dy.on(on),
                          .s = s.on(on),
                          .weight = weight.on(on, parts.weight),
                          .mean = s_mean.on(on, parts.centered),
                          .rstd = s_rstd.on(on),
                          .dx = dx.on(on),
                          .dweight = dweight.on(on, parts.weight),
                          .dbias = dbias.on(on, parts.bias),
                          .partial = partial.on(on),
                          .rows = rows,
                          .columns = columns});
  };
  backward(Cpu{});
  backward(cuda);
  dx.check(8 * tolerance<T>(columns));
  dweight.check(tolerance<T>(rows));
  dbias.check(tolerance<T>(rows));
}

}  // namespace

TEST_CASE_TEMPLATE("norms equal the CPU's", T, float, double, bfloat16) {
  for (const int64_t rows : {0, 1, 5, 33}) {
    for (const int64_t columns : {1, 8, 31, 32, 33, 65, 264, 1023, 1025}) {
      CAPTURE(rows);
      CAPTURE(columns);
      check_norm<T>(rows, columns, {.centered = true, .residual = true, .weight = true, .bias = true});
      check_norm<T>(rows, columns, {.centered = false, .residual = false, .weight = false, .bias = true});
    }
  }
  for (int parts = 0; parts < 16; ++parts) {
    CAPTURE(parts);
    check_norm<T>(5, 40, {(parts & 1) != 0, (parts & 2) != 0, (parts & 4) != 0, (parts & 8) != 0});
  }
}

TEST_CASE_TEMPLATE("a norm's weight and bias gradients sum many blocks of rows", T, float, double, bfloat16) {
  for (const int64_t rows : {1025, 2049})  // in one launch, and in several
    check_norm<T>(rows, 5, {.centered = true, .residual = false, .weight = true, .bias = true});
}

TEST_CASE_TEMPLATE("norms of the widths about which rows are dealt out in another way", T, float, double,
                   bfloat16) {
  for (const int64_t columns : {127, 128, 136, 256, 264, 384, 392, 512, 520, 1024, 1032})
    check_norm<T>(17, columns, {.centered = true, .residual = false, .weight = true, .bias = true});
}

TEST_CASE_TEMPLATE("norms of replicas, who go through several rows at a time, equal the CPU's", T, float,
                   double, bfloat16) {
  const AsReplica as_replica;
  for (const int64_t rows : {1, 33, 200}) {
    for (const int64_t columns : {8, 65, 128, 256, 512})
      check_norm<T>(rows, columns, {.centered = true, .residual = true, .weight = true, .bias = true});
  }
}
