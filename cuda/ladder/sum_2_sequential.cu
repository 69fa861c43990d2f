// Sum, rung 2: the tree adds halves instead of neighbours.
//   step 128: part[0] += part[128], part[1] += part[129], ...   step 64: part[0] += part[64], ...
// Changed  the order of the steps, and so which elements are pairs
// Helps    neighbouring threads reach for neighbouring elements: no bank conflicts; and whole warps are done early
// Costs    nothing; a barrier a step still
// Memory   O L I sizeof(T) bytes
// Launch   256 threads an output
// Figure   bank conflicts, in README.md
#include "cuda/ladder/sum.h"

namespace galvan::ladder {
namespace {

template <class T>
__global__ void add_sequential(const T* x, T* y, int64_t length, int64_t inner, double scale) {
  using A = Acc<T>;
  GALVAN_SHARED(A[kSumThreads], part);
  const int thread = static_cast<int>(threadIdx.x);
  part[thread] = sum_of_thread(x, length, inner);
  for (int step = kSumThreads / 2; step > 0; step /= 2) {
    __syncthreads();  // both halves of a pair are there before they are added
    const int at = thread;
    if (at < step) part[at] += part[at + step];
  }
  if (thread == 0) y[blockIdx.x] = T(A(scale) * part[0]);
}

}  // namespace

template <class T>
void sum_sequential(cudaStream_t stream, const T* x, T* y, int64_t outer, int64_t length, int64_t inner,
                    double scale) {
  launch<add_sequential<T>>(static_cast<unsigned>(outer * inner), kSumThreads, 0, stream, x, y, length, inner,
                            scale);
}
template void sum_sequential(cudaStream_t, const float*, float*, int64_t, int64_t, int64_t, double);
template void sum_sequential(cudaStream_t, const bfloat16*, bfloat16*, int64_t, int64_t, int64_t, double);

}  // namespace galvan::ladder
