// Matrix products by cublasLt. What computes a product is chosen by cublasLt's heuristic when its kind (dtype,
// sizes, leading dimensions, transposes, alignments) first comes, and kept: the same kind is computed by the same
// algorithm for as long as the program runs.
#pragma once

#include <cuda_runtime.h>

#include <string>
#include <vector>

#include "core/gemm_layout.h"

namespace galvan {

// Whether float products may round their operands to TF32, 10 bits of fraction, which tensor cores multiply.
// Off at first.
void set_tf32(bool on);
bool tf32();

// What cublasLt does besides ("epilogues"), at most one of them, in a product of no batch but replicas'. Its GELU is the
// tanh form. It has GELU's derivative too, but on an H100 as a kernel of its own, slower than ours.
enum class Epilogue {
  none,
  gelu,      // C = gelu(z), aux = z = op(A) op(B) + bias
  row_sums,  // sums [m] = the sums of op(A)'s rows
};
template <class T>
struct MatmulExtra {
  Epilogue epilogue = Epilogue::none;
  T* aux = nullptr;  // [m, n], dense
  T* sums = nullptr;
  // Of products in a batch that are replicas', from one to the next: of the bias or the sums, and of aux.
  int64_t batch_stride_vector = 0, batch_stride_aux = 0;
};

// Puts C = op(A) op(B) [+ C] [+ bias] on the stream, for float, double and bfloat16 (summed in float); m, n, k and
// batch are positive. False, with nothing done: cublasLt does not add a bias to such a product, or has no such extra.
// Recorded for replicas (cuda/runtime/recorder.h), it becomes one product of a batch with those of the others whose
// matrices lie at equal distances (core/replica_memory.h).
template <class T>
bool cublas_matmul(cudaStream_t stream, const Gemm<T, T>& product, const MatmulExtra<T>& extra = {});

// The algorithms chosen so far, a line each, sorted:
// "bf16 64x65x128 lda 128 ldb 128 transposed ldc 65 bias aligned 256 2 256 256: algorithm 66 tile 20 stages 35
// split 1 reduction 0 swizzle 0 custom 0 inner 0 cluster 2 workspace 0"
std::vector<std::string> matmul_algorithms();

}  // namespace galvan
