// The ladder of sums, y[o, i] = scale sum_l x[o, l, i] of x [O, L, I], in float and bfloat16, from the lowest rung up to
// what training uses, cuda/reduce.cu. No rung has atomics: the same sum has the same bits each time. What is counted of
// each: README.md.
#pragma once

#include "core/dtype.h"
#include "cuda/dialect.h"

namespace galvan::ladder {

template <class T>
void sum_interleaved(cudaStream_t stream, const T* x, T* y, int64_t outer, int64_t length, int64_t inner,
                     double scale);
template <class T>
void sum_sequential(cudaStream_t stream, const T* x, T* y, int64_t outer, int64_t length, int64_t inner,
                    double scale);
template <class T>
void sum_shuffles(cudaStream_t stream, const T* x, T* y, int64_t outer, int64_t length, int64_t inner,
                  double scale);

inline constexpr int kSumThreads = 256;

// What a thread of the block that makes y[blockIdx.x] adds up by itself: every 256th element.
template <class T>
__device__ inline Acc<T> sum_of_thread(const T* x, int64_t length, int64_t inner) {
  x += blockIdx.x / inner * length * inner + blockIdx.x % inner;
  Acc<T> sum = 0;
  for (int64_t l = threadIdx.x; l < length; l += kSumThreads) sum += Acc<T>(x[l * inner]);
  return sum;
}

}  // namespace galvan::ladder
