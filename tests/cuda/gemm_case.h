// A matrix product on the card beside the CPU's.
#pragma once

#include "kernel_test.h"
#include "tests/core/gemm_case.h"

namespace galvan {

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
  Both<T> a(random_values<T>(t.a_elements(), "a")), b(random_values<T>(t.b_elements(), "b")),
      bias(random_values<T>(t.n, "bias")), c(random_values<T>(t.c_elements(), "c"));
  const auto both = [&](auto on) { gemm(on, t.of<T, T>(a.on(on), b.on(on), c.on(on), bias.on(on))); };
  both(Cpu{});
  both(cuda);
  c.check(tolerance<T>(t.k + 2));
}

}  // namespace galvan
