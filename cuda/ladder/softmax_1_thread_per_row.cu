// Softmax, rung 1: a thread a row, as the formula says.
//   y[r,c] = exp(x[r,c] - m[r]) / sum_k exp(x[r,k] - m[r])        m[r] = max_k x[r,k]
// Changed  (the lowest rung)
// Costs    a warp's 32 threads are in 32 rows: each element that they read or write together is in a sector of its own;
//          and a matrix of few rows keeps few threads busy
// Memory   2 R C sizeof(T) bytes while the rows fit in L1; asked for are 4, for x is read three times
// Launch   128 rows a block
// Figure   uncoalesced requests and sectors, in README.md
#include "core/math.h"
#include "cuda/ladder/softmax.h"

namespace galvan::ladder {
namespace {

constexpr int kThreads = 128;

template <class T>
__global__ void softmax_forward_thread_per_row(const T* x, T* y, int64_t rows, int64_t columns) {
  using A = Acc<T>;
  const int64_t row = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (row >= rows) return;
  x += row * columns;
  y += row * columns;

  A largest = -INFINITY;
  for (int64_t c = 0; c < columns; ++c) largest = A(x[c]) > largest ? A(x[c]) : largest;
  A sum = 0;
  for (int64_t c = 0; c < columns; ++c) sum += math::exp(A(x[c]) - largest);
  for (int64_t c = 0; c < columns; ++c) y[c] = T(math::exp(A(x[c]) - largest) / sum);
}

}  // namespace

template <class T>
void softmax_thread_per_row(cudaStream_t stream, const T* x, T* y, int64_t rows, int64_t columns) {
  launch<softmax_forward_thread_per_row<T>>(blocks_for(rows, kThreads), kThreads, 0, stream, x, y, rows,
                                            columns);
}
template void softmax_thread_per_row(cudaStream_t, const float*, float*, int64_t, int64_t);
template void softmax_thread_per_row(cudaStream_t, const bfloat16*, bfloat16*, int64_t, int64_t);

}  // namespace galvan::ladder
