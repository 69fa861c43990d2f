// Products that do more than C = op(A) op(B), put together of a product and a pass over C: C is in cache, or too large
// for it, either way. The pre-activations are kept without their bias.
#include "core/kernels.h"
#include "core/pointwise.h"

namespace galvan {

template <class T>
void gemm_gelu(Cpu on, const Gemm<T, T>& product, T* kept) {
  Gemm<T, T> plain = product;
  plain.c = kept;
  plain.bias = nullptr;
  gemm(on, plain);
  bias_unary(on, GeluTanh(), kept, product.bias, product.c, product.m, product.n);
}

template <class T>
void gemm_gelu_backward(Cpu on, const Gemm<T, T>& product, const T* bias, const T* kept, T* dbias,
                        Acc<T>* partial) {
  gemm(on, product);
  bias_unary_backward(on, GeluTanh(), kept, bias, product.c, product.c, dbias, partial, product.m, product.n);
}

template <class T>
void gemm_column_sums(Cpu on, const Gemm<T, T>& product, T* sums) {
  gemm(on, product);
  sum(on, product.a, sums, 1, product.k, product.m, 1.0);
}

#define GALVAN_GEMM(T)                                                                       \
  template void gemm_gelu(Cpu, const Gemm<T, T>&, T*);                                       \
  template void gemm_gelu_backward(Cpu, const Gemm<T, T>&, const T*, const T*, T*, Acc<T>*); \
  template void gemm_column_sums(Cpu, const Gemm<T, T>&, T*);
GALVAN_GEMM(float)
GALVAN_GEMM(double)
GALVAN_GEMM(bfloat16)

}  // namespace galvan
