// Sum, rung 1: a block an output, whose threads' sums are added in a tree of neighbours in shared memory.
//   step 1: part[0] += part[1], part[2] += part[3], ...   step 2: part[0] += part[2], part[4] += part[6], ...
// Changed  (the lowest rung; the idea to begin with is a tree, in an order that is always the same)
// Costs    at step s threads reach for every 2 s-th element: they lie in 32 / (2 s) banks, which serve them one after
//          the other. A barrier a step
// Memory   O L I sizeof(T) bytes
// Launch   256 threads an output
// Figure   bank conflicts, in README.md
#include "cuda/ladder/sum.h"

namespace galvan::ladder {
namespace {

template <class T>
__global__ void add_interleaved(const T* x, T* y, int64_t length, int64_t inner, double scale) {
  using A = Acc<T>;
  GALVAN_SHARED(A[kSumThreads], part);
  const int thread = static_cast<int>(threadIdx.x);
  part[thread] = sum_of_thread(x, length, inner);
  for (int step = 1; step < kSumThreads; step *= 2) {
    __syncthreads();  // both halves of a pair are there before they are added
    const int at = 2 * step * thread;
    if (at < kSumThreads) part[at] += part[at + step];
  }
  if (thread == 0) y[blockIdx.x] = T(A(scale) * part[0]);
}

}  // namespace

template <class T>
void sum_interleaved(cudaStream_t stream, const T* x, T* y, int64_t outer, int64_t length, int64_t inner,
                     double scale) {
  launch<add_interleaved<T>>(static_cast<unsigned>(outer * inner), kSumThreads, 0, stream, x, y, length,
                             inner, scale);
}
template void sum_interleaved(cudaStream_t, const float*, float*, int64_t, int64_t, int64_t, double);
template void sum_interleaved(cudaStream_t, const bfloat16*, bfloat16*, int64_t, int64_t, int64_t, double);

}  // namespace galvan::ladder
