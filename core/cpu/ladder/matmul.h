// What the rungs of the matmul ladder share: where an operand's elements are, and where a sum starts.
#pragma once

#include "core/gemm_layout.h"

namespace galvan::ladder {

// op(X)[row, column] = data[row * to_row + column * to_column]
template <class T>
struct Operand {
  const T* data;
  int64_t to_row, to_column;

  Acc<T> operator()(int64_t row, int64_t column) const {
    return static_cast<Acc<T>>(data[row * to_row + column * to_column]);
  }
};

template <class In, class Out>
Operand<In> op_a(const Gemm<In, Out>& g) {
  return {g.a, g.transpose_a ? 1 : g.lda, g.transpose_a ? g.lda : 1};
}
template <class In, class Out>
Operand<In> op_b(const Gemm<In, Out>& g) {
  return {g.b, g.transpose_b ? 1 : g.ldb, g.transpose_b ? g.ldb : 1};
}

// What the sum of C[i, j] begins with: the bias, what C holds, both, or 0.
template <class In, class Out>
Acc<In> start_of(const Gemm<In, Out>& g, int64_t i, int64_t j) {
  const Acc<In> bias = g.bias ? static_cast<Acc<In>>(g.bias[j]) : Acc<In>(0);
  return g.accumulate ? bias + static_cast<Acc<In>>(g.c[i * g.ldc + j]) : bias;
}

#define GALVAN_LADDER_MATMUL(rung)                     \
  template void rung(const Gemm<float, float>&);       \
  template void rung(const Gemm<double, double>&);     \
  template void rung(const Gemm<bfloat16, bfloat16>&); \
  template void rung(const Gemm<bfloat16, float>&);

}  // namespace galvan::ladder
