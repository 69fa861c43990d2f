// Softmax, rung 2: a block a row.
// Changed  neighbouring threads have neighbouring elements of a row, and find its maximum and sum together
// Helps    what a warp reads or writes together lies together; and a row keeps 128 threads busy
// Costs    shared memory and three barriers a row, at which all its warps wait for the last
// Memory   2 R C sizeof(T) bytes while a row fits in L1; asked for are 4, for x is read three times
// Launch   128 threads a row
// Figure   uncoalesced requests and sectors; barriers: in README.md
#include "core/math.h"
#include "cuda/ladder/softmax.h"
#include "cuda/warp.h"

namespace galvan::ladder {
namespace {

constexpr int kThreads = 128;

template <class T>
__global__ void softmax_forward_block_per_row(const T* x, T* y, int64_t columns) {
  using A = Acc<T>;
  const int64_t row = blockIdx.x;
  x += row * columns;
  y += row * columns;

  A largest = -INFINITY;
  for (int64_t c = threadIdx.x; c < columns; c += kThreads) largest = A(x[c]) > largest ? A(x[c]) : largest;
  largest = block_max(largest);
  A sum = 0;
  for (int64_t c = threadIdx.x; c < columns; c += kThreads) sum += math::exp(A(x[c]) - largest);
  sum = block_sum(sum);
  for (int64_t c = threadIdx.x; c < columns; c += kThreads) y[c] = T(math::exp(A(x[c]) - largest) / sum);
}

}  // namespace

template <class T>
void softmax_block_per_row(cudaStream_t stream, const T* x, T* y, int64_t rows, int64_t columns) {
  launch<softmax_forward_block_per_row<T>>(static_cast<unsigned>(rows), kThreads, 0, stream, x, y, columns);
}
template void softmax_block_per_row(cudaStream_t, const float*, float*, int64_t, int64_t);
template void softmax_block_per_row(cudaStream_t, const bfloat16*, bfloat16*, int64_t, int64_t);

}  // namespace galvan::ladder
