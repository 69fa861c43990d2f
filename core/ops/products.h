// What ops share whose activations are rows [N, C]: matrix products, and the way to kernels for cards alone.
#pragma once

#include "core/kernels.h"

namespace galvan {

// c = op(a) op(b) [+ bias], all dense matrices.
template <class T>
Gemm<T, T> product_of(const Tensor& a, bool transpose_a, const Tensor& b, bool transpose_b,
                      const Tensor& bias, const Tensor& c) {
  profile::computes(2.0 * static_cast<double>(c.numel()) * static_cast<double>(a.size(transpose_a ? 0 : 1)));
  return {.m = c.size(0),
          .n = c.size(1),
          .k = a.size(transpose_a ? 0 : 1),
          .a = a.data<T>(),
          .lda = a.size(1),
          .transpose_a = transpose_a,
          .b = b.data<T>(),
          .ldb = b.size(1),
          .transpose_b = transpose_b,
          .c = c.data<T>(),
          .ldc = c.size(1),
          .bias = bias.defined() ? bias.data<T>() : nullptr};
}

// [.., C] as a dense matrix [N, C].
inline Tensor rows_of(const Tensor& x) {
  const int64_t columns = x.shape().back();
  return dense(x).detach().reshape({columns == 0 ? 0 : x.numel() / columns, columns});
}

// Whether x is dense on a card, of T, and begins where packs of 16 bytes do: for kernels that take nothing else.
template <class T>
bool is_packed_on_card(const Tensor& x) {
  return x.defined() && !x.device().is_cpu() && x.dtype() == dtype_of<T> && x.is_contiguous() &&
         reinterpret_cast<uintptr_t>(x.data<T>()) % 16 == 0;
}

// dispatch<>, where x is packed on a card and of bfloat16.
template <OpName kOp, class F>
void dispatch_on_card(const Tensor& x, const F& kernel, const char* file = __builtin_FILE(),
                      int line = __builtin_LINE()) {
  dispatch<kOp>(
      x,
      [&]<class T>(auto on) {
        if constexpr (std::is_same_v<T, bfloat16> && std::is_same_v<decltype(on), Cuda>) kernel(on);
      },
      file, line);
}

// dweight = dy^T x
inline void weight_gradient(const Tensor& dy, const Tensor& x, const Tensor& dweight) {
  dispatch<"linear">(dy, [&]<class T>(auto on) { gemm(on, product_of<T>(dy, true, x, false, {}, dweight)); });
}

}  // namespace galvan
