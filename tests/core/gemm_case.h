// A matrix product to be tested: its sizes, and how its operands lie in memory.
#pragma once

#include "core/gemm_layout.h"

namespace galvan {

struct GemmCase {
  int64_t m, n, k;
  bool transpose_a = false, transpose_b = false, bias = false, accumulate = false;
  int64_t batch = 1;
  bool shared_b = false, shared_a = false;  // by all products of the batch
  int64_t padding = 0;                      // elements between rows, and between matrices

  // Elements from one matrix to the next.
  int64_t a_size() const { return (transpose_a ? k : m) * lda() + padding; }
  int64_t b_size() const { return (transpose_b ? n : k) * ldb() + padding; }
  int64_t c_size() const { return m * ldc() + padding; }
  // Of all of the batch.
  int64_t a_elements() const { return (shared_a ? 1 : batch) * a_size(); }
  int64_t b_elements() const { return (shared_b ? 1 : batch) * b_size(); }
  int64_t c_elements() const { return batch * c_size(); }

  template <class In, class Out>
  Gemm<In, Out> of(const In* a, const In* b, Out* c, const In* bias_row) const {
    return {.m = m,
            .n = n,
            .k = k,
            .a = a,
            .lda = lda(),
            .transpose_a = transpose_a,
            .b = b,
            .ldb = ldb(),
            .transpose_b = transpose_b,
            .c = c,
            .ldc = ldc(),
            .bias = bias ? bias_row : nullptr,
            .accumulate = accumulate,
            .batch = batch,
            .batch_stride_a = shared_a ? 0 : a_size(),
            .batch_stride_b = shared_b ? 0 : b_size(),
            .batch_stride_c = c_size()};
  }

 private:
  int64_t lda() const { return (transpose_a ? m : k) + padding; }
  int64_t ldb() const { return (transpose_b ? k : n) + 2 * padding; }
  int64_t ldc() const { return n + 3 * padding; }
};

}  // namespace galvan
