// A softmax of one's own on a card, over rows of floats: a block a row.
#include <cmath>

#include "bench/op_table/own_kernel.h"
#include "core/check.h"
#include "core/cuda_backend.h"
#include "cuda/dialect.h"

using namespace galvan;

namespace {

constexpr int kThreads = 128;

// What `combine` makes of every thread's value; each of the block's threads is given it.
template <class Combine>
__device__ float over_block(float value, const Combine& combine) {
  GALVAN_SHARED(float[kThreads], values);
  values[threadIdx.x] = value;
  __syncthreads();  // all are there before they are combined
  for (unsigned half = kThreads / 2; half > 0; half /= 2) {
    if (threadIdx.x < half) values[threadIdx.x] = combine(values[threadIdx.x], values[threadIdx.x + half]);
    __syncthreads();  // the lower half is written before the next round reads it
  }
  const float result = values[0];
  __syncthreads();  // all have read it before the next call writes
  return result;
}

__global__ void softmax_row_per_block(const float* x, float* y, int64_t columns) {
  x += blockIdx.x * columns;
  y += blockIdx.x * columns;
  float largest = -INFINITY, sum = 0;
  for (int64_t c = threadIdx.x; c < columns; c += kThreads) largest = fmaxf(largest, x[c]);
  largest = over_block(largest, [](float a, float b) { return fmaxf(a, b); });
  for (int64_t c = threadIdx.x; c < columns; c += kThreads) sum += expf(x[c] - largest);
  sum = over_block(sum, [](float a, float b) { return a + b; });
  for (int64_t c = threadIdx.x; c < columns; c += kThreads) y[c] = expf(x[c] - largest) / sum;
}

Tensor softmax(const Tensor& x) {
  check(x.dtype() == DType::f32, "softmax_row_per_block: takes f32, not ", name(x.dtype()));
  Tensor y = Tensor::empty_like(x);
  const int64_t columns = x.shape().back();
  launch<softmax_row_per_block>(static_cast<unsigned>(x.numel() / columns), kThreads, 0,
                                cuda_backend::stream(x.device()), x.data<float>(), y.data<float>(), columns);
  return y;
}

// The line by which it joins `galvan bench`.
const OwnKernel mine("softmax", "cuda", "row_per_block",
                     [](Inputs in, const Attributes&) { return only(softmax(in[0])); });

}  // namespace
