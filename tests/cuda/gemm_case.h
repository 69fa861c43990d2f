// A matrix product on the card beside the CPU's.
#pragma once

#include "kernel_test.h"

namespace galvan {

struct GemmCase {
  int64_t m, n, k;
  bool transpose_a = false, transpose_b = false, bias = false, accumulate = false;
  int64_t batch = 1;
  bool shared_a = false, shared_b = false;
  int64_t padding = 0;  // elements between rows, and between matrices
};

// Rows of C, and what lies between them, are the same after the two products.
template <class T>
void check_gemm(Cuda cuda, const GemmCase& t) {
  CAPTURE(t.m);
  CAPTURE(t.n);
  CAPTURE(t.k);
  CAPTURE(t.transpose_a);
  CAPTURE(t.transpose_b);
  CAPTURE(t.bias);
  CAPTURE(t.accumulate);
  CAPTURE(t.batch);
  const int64_t a_rows = t.transpose_a ? t.k : t.m, a_columns = t.transpose_a ? t.m : t.k;
  const int64_t b_rows = t.transpose_b ? t.n : t.k, b_columns = t.transpose_b ? t.k : t.n;
  const int64_t lda = a_columns + t.padding, ldb = b_columns + 2 * t.padding, ldc = t.n + 3 * t.padding;
  const int64_t a_size = a_rows * lda + t.padding, b_size = b_rows * ldb + t.padding,
                c_size = t.m * ldc + t.padding;
  Both<T> a(random_values<T>(t.shared_a ? a_size : t.batch * a_size, "a")),
      b(random_values<T>(t.shared_b ? b_size : t.batch * b_size, "b")), bias(random_values<T>(t.n, "bias")),
      c(random_values<T>(t.batch * c_size, "c"));
  const auto both = [&](auto on) {
    gemm(on, Gemm<T, T>{.m = t.m,
                        .n = t.n,
                        .k = t.k,
                        .a = a.on(on),
                        .lda = lda,
                        .transpose_a = t.transpose_a,
                        .b = b.on(on),
                        .ldb = ldb,
                        .transpose_b = t.transpose_b,
                        .c = c.on(on),
                        .ldc = ldc,
                        .bias = bias.on(on, t.bias),
                        .accumulate = t.accumulate,
                        .batch = t.batch,
                        .batch_stride_a = t.shared_a ? 0 : a_size,
                        .batch_stride_b = t.shared_b ? 0 : b_size,
                        .batch_stride_c = c_size});
  };
  both(Cpu{});
  both(cuda);
  c.check(tolerance<T>(t.k + 2));
}

}  // namespace galvan
