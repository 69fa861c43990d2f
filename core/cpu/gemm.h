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

#include "core/gemm_layout.h"

namespace galvan {

// For <float, float>, <double, double>, <bfloat16, bfloat16> and <bfloat16, float>.
template <class In, class Out>
void gemm(const Gemm<In, Out>& product);

// One product of the batch (batch and its strides are not looked at): by micro-kernels of our own, which training uses, and
// by Eigen, which they are checked and measured by (choose_variants("matmul=eigen"), core/variants.h).
template <class In, class Out>
void gemm_packed(const Gemm<In, Out>& product);
template <class In, class Out>
void gemm_eigen(const Gemm<In, Out>& product);

}  // namespace galvan
