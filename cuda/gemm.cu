// C = op(A) op(B) [+ bias] [+ C], row-major: cublasLt's products (cuda/runtime/matmul.h), and what it leaves to do.
//   gemm_gelu            C = gelu(kept), kept = op(A) op(B) + bias
//   gemm_gelu_backward   C = (op(A) op(B)) gelu'(kept), dbias = sum_m C
//   gemm_column_sums     C = A^T B, sums = sum_k A
// Shapes   C [m, n], op(A) [m, k], op(B) [k, n], bias [n]; `batch` of each but the bias
// Compute  2 batch m n k FLOPs
// Memory   cublasLt's own; where C becomes the bias first, batch m n sizeof(T) bytes
// Ladder   cuda/ladder/README.md: what may be put in cublasLt's place
// Launch   cublasLt's own; where it adds no bias (double), C becomes the bias first, and the product is added to it; gelu
//          but for bfloat16 and n a multiple of 8, its gradient, and sums in double or of replicas are kernels of ours
#include "core/kernels.h"
#include "core/pointwise.h"
#include "core/variants.h"
#include "cuda/column_sums.h"
#include "cuda/gemm_gelu_backward.h"
#include "cuda/ladder/matmul.h"
#include "cuda/map.h"
#include "cuda/runtime/matmul.h"

namespace galvan {
namespace {

Variants variants("matmul", "cuda",
                  {{"cublaslt", "cuda/gemm.cu"},
                   {"naive", "cuda/ladder/matmul_1_naive.cu"},
                   {"coalesced", "cuda/ladder/matmul_2_coalesced.cu"},
                   {"shared_tiles", "cuda/ladder/matmul_3_shared_tiles.cu"},
                   {"register_tiles", "cuda/ladder/matmul_4_register_tiles.cu"},
                   {"vector_loads", "cuda/ladder/matmul_5_vector_loads.cu"},
                   {"warp_tiles", "cuda/ladder/matmul_6_warp_tiles.cu"},
                   {"tensor_cores", "cuda/ladder/matmul_7_tensor_cores.cu"}},
                  Passes::both);

struct Sum {
  template <class T>
  __device__ T operator()(T c, T bias) const {
    return T(Acc<T>(c) + Acc<T>(bias));
  }
};

// C = bias, or 0; where the product is to be added to C, C += bias.
template <class T>
void start_from_bias(Cuda on, const Gemm<T, T>& g) {
  const Shape shape{g.batch, g.m, g.n};
  const Strides c_strides{g.batch_stride_c, g.ldc, 1}, bias_strides{0, 0, 1};
  if (!g.bias) {
    if (!g.accumulate) fill(on, g.c, c_strides, shape, T(0));
  } else if (g.accumulate) {
    map(on, Sum{}, shape, Strided<T>{g.c, c_strides}, Strided<const T>{g.c, c_strides},
        Strided<const T>{g.bias, bias_strides});
  } else {
    strided_copy(on, g.bias, bias_strides, g.c, c_strides, shape);
  }
}

template <class T>
void gemm_by_cublaslt(cudaStream_t stream, const Gemm<T, T>& product) {
  if (cublas_matmul(stream, product)) return;
  start_from_bias(Cuda{stream}, product);
  Gemm<T, T> g = product;
  g.bias = nullptr;
  g.accumulate = true;
  cublas_matmul(stream, g);
}

// Whether cublasLt has done it all; not where there is nothing to multiply, or another version is chosen.
template <class T>
bool multiplied(Cuda on, const Gemm<T, T>& g, const MatmulExtra<T>& extra) {
  return variants.chosen() == 0 && g.m > 0 && g.n > 0 && g.k > 0 && cublas_matmul(on.stream, g, extra);
}

}  // namespace

template <class T>
void gemm(Cuda on, const Gemm<T, T>& g) {
  if (g.m == 0 || g.n == 0 || g.batch == 0) return;
  if (g.k == 0) return start_from_bias(on, g);
  if constexpr (std::is_same_v<T, double>) {
    gemm_by_cublaslt(on.stream, g);
  } else {
    static constexpr void (*kVersions[])(cudaStream_t, const Gemm<T, T>&) = {gemm_by_cublaslt,
                                                                             ladder::matmul_naive,
                                                                             ladder::matmul_coalesced,
                                                                             ladder::matmul_shared_tiles,
                                                                             ladder::matmul_register_tiles,
                                                                             ladder::matmul_vector_loads,
                                                                             ladder::matmul_warp_tiles,
                                                                             ladder::matmul_tensor_cores};
    variants.pick(kVersions)(on.stream, g);
  }
}

template <class T>
void gemm_gelu(Cuda on, const Gemm<T, T>& g, T* kept) {
  if (multiplied(on, g, {.epilogue = Epilogue::gelu, .aux = kept})) return;
  Gemm<T, T> sum = g;
  sum.c = kept;
  gemm(on, sum);
  unary(on, GeluTanh(), kept, g.c, g.m * g.n);
}

template <class T>
void gemm_gelu_backward(Cuda on, const Gemm<T, T>& g, const T*, const T* kept, T* dbias, Acc<T>* partial) {
  if constexpr (std::is_same_v<T, bfloat16>)
    if (variants.chosen() == 0 && fused::takes(g, kept))
      return fused::gemm_gelu_backward(on, g, kept, dbias, partial);
  gemm(on, g);
  bias_unary_backward(on, GeluTanh(), kept, static_cast<const T*>(nullptr), g.c, g.c, dbias, partial, g.m,
                      g.n);
}

template <class T>
void gemm_column_sums(Cuda on, const Gemm<T, T>& g, T* sums) {
  // For which cublasLt takes a kernel of its own: 7 to 14 us for 32 replicas of preset `tiny`, on an H100.
  const bool by_us = AsReplica::current() && g.k <= kRowsOfReplica && g.m % kPack<T> == 0;
  if (!by_us && multiplied(on, g, {.epilogue = Epilogue::row_sums, .sums = sums})) return;
  gemm(on, g);
  sum(on, g.a, sums, 1, g.k, g.m, 1.0);
}

#define GALVAN_GEMM(T)                                                                        \
  template void gemm(Cuda, const Gemm<T, T>&);                                                \
  template void gemm_gelu(Cuda, const Gemm<T, T>&, T*);                                       \
  template void gemm_gelu_backward(Cuda, const Gemm<T, T>&, const T*, const T*, T*, Acc<T>*); \
  template void gemm_column_sums(Cuda, const Gemm<T, T>&, T*);
GALVAN_GEMM(float)
GALVAN_GEMM(double)
GALVAN_GEMM(bfloat16)

}  // namespace galvan
