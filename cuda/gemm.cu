// C = op(A) op(B) [+ bias] [+ C], row-major: cublasLt's products (cuda/runtime/matmul.h), and what it leaves to do.
// Shapes   C [m, n], op(A) [m, k], op(B) [k, n], bias [n]; `batch` of each but the bias
// Compute  2 batch m n k FLOPs
// Memory   cublasLt's own; where C becomes the bias first, batch m n sizeof(T) bytes
// Launch   cublasLt's own; where it adds no bias (double), C becomes the bias first, and the product is added to it
#include "core/kernels.h"
#include "cuda/map.h"
#include "cuda/runtime/matmul.h"

namespace galvan {
namespace {

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

}  // namespace

template <class T>
void gemm(Cuda on, const Gemm<T, T>& product) {
  Gemm<T, T> g = product;
  if (g.m == 0 || g.n == 0 || g.batch == 0) return;
  if (g.k == 0) return start_from_bias(on, g);
  if (cublas_matmul(on.stream, g)) return;
  start_from_bias(on, g);
  g.bias = nullptr;
  g.accumulate = true;
  cublas_matmul(on.stream, g);
}

template void gemm(Cuda, const Gemm<float, float>&);
template void gemm(Cuda, const Gemm<double, double>&);
template void gemm(Cuda, const Gemm<bfloat16, bfloat16>&);

}  // namespace galvan
