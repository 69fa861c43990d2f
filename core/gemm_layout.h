// A matrix product on raw row-major memory, C = op(A) op(B), with a batch in front: what a device's gemm is
// asked.
#pragma once

#include <cstdint>

#include "core/dtype.h"

namespace galvan {

template <class In, class Out>
struct Gemm {
  int64_t m = 0, n = 0, k = 0;  // C is [m, n], op(A) [m, k], op(B) [k, n]; any of them may be 0

  // A leading dimension is the distance, in elements, from one row in memory to the next.
  const In* a = nullptr;  // [m, k], or [k, m] when transpose_a
  int64_t lda = 0;
  bool transpose_a = false;
  const In* b = nullptr;  // [k, n], or [n, k] when transpose_b
  int64_t ldb = 0;
  bool transpose_b = false;
  Out* c = nullptr;  // [m, n]; must overlap neither A nor B
  int64_t ldc = 0;

  const In* bias = nullptr;  // [n], added to every row
  bool accumulate = false;   // C += op(A) op(B)

  // `batch` such products; the strides lead, in elements, from one to the next (0: all use the same A or B).
  int64_t batch = 1;
  int64_t batch_stride_a = 0, batch_stride_b = 0, batch_stride_c = 0;
};

}  // namespace galvan
