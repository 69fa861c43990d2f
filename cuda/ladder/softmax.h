// The ladder of softmax, y = softmax(x) over rows of x [R, C], in float and bfloat16, from the lowest rung up; between the
// second and the last is what training uses, cuda/softmax.cu. What is counted of each: README.md.
#pragma once

#include "core/dtype.h"
#include "cuda/dialect.h"

namespace galvan::ladder {

template <class T>
void softmax_thread_per_row(cudaStream_t stream, const T* x, T* y, int64_t rows, int64_t columns);
template <class T>
void softmax_block_per_row(cudaStream_t stream, const T* x, T* y, int64_t rows, int64_t columns);
template <class T>
void softmax_online(cudaStream_t stream, const T* x, T* y, int64_t rows, int64_t columns);

}  // namespace galvan::ladder
