// Matrix products on the CPU, on raw row-major memory: C = op(A) op(B), with a batch in front.
//
//   gemm<float, float>({.m = tokens, .n = out, .k = in,                     // y = x W^T + b
//                       .a = x, .lda = in,
//                       .b = w, .ldb = in, .transpose_b = true,
//                       .c = y, .ldc = out, .bias = b});
//
// bfloat16 products are summed in float. Every element of C is summed over k in an order that depends on the
// shape alone: the result has the same bits for every number of threads. docs/matmul.md says how it works.
#pragma once

#include <cstdint>
#include <string_view>

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

// For <float, float>, <double, double>, <bfloat16, bfloat16> and <bfloat16, float>.
template <class In, class Out>
void gemm(const Gemm<In, Out>& product);

// Who computes: micro-kernels of our own, or Eigen, which checks them.
enum class MatmulBackend { packed, eigen };
MatmulBackend matmul_backend();
void set_matmul_backend(MatmulBackend backend);
MatmulBackend matmul_backend_by_name(std::string_view name);  // "packed", "eigen"; Error otherwise

// One product of the batch (batch and its strides are not looked at), by either.
template <class In, class Out>
void gemm_packed(const Gemm<In, Out>& product);
template <class In, class Out>
void gemm_eigen(const Gemm<In, Out>& product);

}  // namespace galvan
