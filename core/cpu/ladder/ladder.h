// The lower rungs of the ladders: how each kernel got to be what training uses, one idea a file. README.md leads through them;
// core/variants.h says how one takes its kernel's place. All run in the calling thread and give what the kernel of the same
// name in core/kernel_list.h gives, but for rounding.
#pragma once

#include "core/cpu/scratch.h"
#include "core/cpu/simd/isa.h"
#include "core/kernels.h"

namespace galvan::ladder {

// --- matmul: one product, the batch is not looked at; <float, float>, <double, double>, <bfloat16, bfloat16>,
// <bfloat16, float>
template <class In, class Out>
void matmul_naive(const Gemm<In, Out>& product);
template <class In, class Out>
void matmul_loop_order(const Gemm<In, Out>& product);
template <class In, class Out>
void matmul_cache_blocked(const Gemm<In, Out>& product);
template <Isa, class In, class Out>
void matmul_micro_kernel(const Gemm<In, Out>& product, Acc<In>* panel);  // panel [k, 32]

template <class In, class Out>
void matmul_micro_kernel(const Gemm<In, Out>& product) {
  const Scratch<Acc<In>> panel(product.k * 32);
  with_isa([&]<Isa isa>() { matmul_micro_kernel<isa>(product, panel.data()); });
}

// --- softmax
template <class T>
void softmax_forward_naive(const T* x, T* y, int64_t rows, int64_t columns);
template <class T>
void softmax_backward_naive(const T* y, const T* dy, T* dx, int64_t rows, int64_t columns);
template <class T>
void softmax_forward_one_exp(const T* x, T* y, int64_t rows, int64_t columns);

// --- layer_norm
template <class T>
void norm_forward_naive(const NormForward<T>& p);
template <class T>
void norm_backward_naive(const NormBackward<T>& p);
template <class T>
void norm_forward_row_by_row(const NormForward<T>& p);
template <class T>
void norm_backward_row_by_row(const NormBackward<T>& p);

// --- attention
template <class T>
void attention_forward_three_pass(const AttentionSizes& sizes, HeadRows<const T> q, HeadRows<const T> k,
                                  HeadRows<const T> v, HeadRows<T> y, Acc<T>* lse);
template <class T>
void attention_backward_three_pass(const AttentionSizes& sizes, HeadRows<const T> q, HeadRows<const T> k,
                                   HeadRows<const T> v, HeadRows<const T> y, HeadRows<const T> dy,
                                   const Acc<T>* lse, HeadRows<T> dq, HeadRows<T> dk, HeadRows<T> dv);
// Queries [first, last) of head h; the gradients of key/value head g and of the heads that read it.
template <class T>
void attention_head_forward_online(const AttentionSizes& sizes, int64_t b, int64_t h, int64_t first,
                                   int64_t last, HeadRows<const T> q, HeadRows<const T> k,
                                   HeadRows<const T> v, HeadRows<T> y, Acc<T>* lse);
template <class T>
void attention_head_backward_online(const AttentionSizes& sizes, int64_t b, int64_t g, HeadRows<const T> q,
                                    HeadRows<const T> k, HeadRows<const T> v, HeadRows<const T> y,
                                    HeadRows<const T> dy, const Acc<T>* lse, HeadRows<T> dq, HeadRows<T> dk,
                                    HeadRows<T> dv);

// --- sum
template <class T>
void sum_one_accumulator(const T* x, T* y, int64_t outer, int64_t length, int64_t inner, double scale);
template <class T>
void sum_many_accumulators(const T* x, T* y, int64_t outer, int64_t length, int64_t inner, double scale);

// --- adamw: one tensor of n elements
template <class T>
void adamw_pass_per_operation(const AdamUpdate<Acc<T>>& update, const UpdateBlocks<T>& blocks, int64_t n);
template <class T>
void adamw_one_pass(const AdamUpdate<Acc<T>>& update, const UpdateBlocks<T>& blocks, int64_t n);

}  // namespace galvan::ladder
