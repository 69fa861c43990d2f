// Sum, rung 3: the tree goes through registers, from lane to lane (warp.h), and only from warp to warp through memory.
// Changed  five shuffles add the 32 sums of a warp, and five more those of the 8 warps
// Helps    two barriers instead of eight; and a warp puts one number into shared memory instead of 32
// Costs    nothing
// Memory   O L I sizeof(T) bytes
// Launch   256 threads an output
// Figure   barriers and shared transactions, in README.md
#include "cuda/ladder/sum.h"
#include "cuda/warp.h"

namespace galvan::ladder {
namespace {

template <class T>
__global__ void add_shuffles(const T* x, T* y, int64_t length, int64_t inner, double scale) {
  using A = Acc<T>;
  const A sum = block_sum(sum_of_thread(x, length, inner));
  if (threadIdx.x == 0) y[blockIdx.x] = T(A(scale) * sum);
}

}  // namespace

template <class T>
void sum_shuffles(cudaStream_t stream, const T* x, T* y, int64_t outer, int64_t length, int64_t inner,
                  double scale) {
  launch<add_shuffles<T>>(static_cast<unsigned>(outer * inner), kSumThreads, 0, stream, x, y, length, inner,
                          scale);
}
template void sum_shuffles(cudaStream_t, const float*, float*, int64_t, int64_t, int64_t, double);
template void sum_shuffles(cudaStream_t, const bfloat16*, bfloat16*, int64_t, int64_t, int64_t, double);

}  // namespace galvan::ladder
