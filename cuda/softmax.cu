// Softmax and log-softmax over the last dimension.
//   y[r,c]  = exp(x[r,c] - m[r]) / sum_k exp(x[r,k] - m[r])        m[r] = max_k x[r,k]
//   dx[r,c] = y[r,c] (dy[r,c] - sum_k y[r,k] dy[r,k])
//   log-softmax:  y = x - m - ln sum,   dx = dy - exp(y) sum_k dy[r,k]
// Shapes   x, y, dy, dx: [R, C], row-major
// Memory   2 R C sizeof(T) bytes forward, 3 backward, while a row fits in L1; asked for are 4 forward (x is
//          read three times) and 5 backward, 4 of log-softmax
// Compute  about 5 R C FLOPs, under 1 FLOP per byte: bandwidth-bound, judge it in GB/s
// Launch   one row a warp, four warps a block
// Ladder   cuda/ladder/README.md: forward, this is the third rung of four
#include "core/kernels.h"
#include "core/math.h"
#include "core/variants.h"
#include "cuda/ladder/softmax.h"
#include "cuda/warp.h"

namespace galvan {
namespace {

Variants variants("softmax", "cuda",
                  {{"warp_per_row", "cuda/softmax.cu"},
                   {"thread_per_row", "cuda/ladder/softmax_1_thread_per_row.cu"},
                   {"block_per_row", "cuda/ladder/softmax_2_block_per_row.cu"},
                   {"online", "cuda/ladder/softmax_4_online.cu"}});

constexpr int kWarps = 4;

__device__ inline int64_t row_of_warp() { return int64_t{blockIdx.x} * kWarps + warp_id(); }

template <class T, bool kLog>
__global__ void softmax_forward_warp_per_row(const T* x, T* y, int64_t rows, int64_t columns) {
  using A = Acc<T>;
  const int64_t row = row_of_warp();
  if (row >= rows) return;
  x += row * columns;
  y += row * columns;

  A largest = -INFINITY;
  for (int64_t c = lane_id(); c < columns; c += 32) largest = A(x[c]) > largest ? A(x[c]) : largest;
  largest = warp_max(largest);
  A sum = 0;
  for (int64_t c = lane_id(); c < columns; c += 32) sum += math::exp(A(x[c]) - largest);
  sum = warp_sum(sum);

  if constexpr (kLog) {
    const A log_sum = std::log(sum);  // a small number even where x is large: their sum would lose it
    for (int64_t c = lane_id(); c < columns; c += 32) y[c] = T((A(x[c]) - largest) - log_sum);
  } else {
    for (int64_t c = lane_id(); c < columns; c += 32) y[c] = T(math::exp(A(x[c]) - largest) / sum);
  }
}

template <class T, bool kLog>
__global__ void softmax_backward_warp_per_row(const T* y, const T* dy, T* dx, int64_t rows, int64_t columns) {
  using A = Acc<T>;
  const int64_t row = row_of_warp();
  if (row >= rows) return;
  y += row * columns;
  dy += row * columns;
  dx += row * columns;

  A sum = 0;
  for (int64_t c = lane_id(); c < columns; c += 32) sum += kLog ? A(dy[c]) : A(y[c]) * A(dy[c]);
  sum = warp_sum(sum);
  for (int64_t c = lane_id(); c < columns; c += 32)
    dx[c] = T(kLog ? A(dy[c]) - math::exp(A(y[c])) * sum : A(y[c]) * (A(dy[c]) - sum));
}

unsigned blocks_of(int64_t rows) { return blocks_for(rows, kWarps); }

template <class T, bool kLog>
void warp_per_row(cudaStream_t stream, const T* x, T* y, int64_t rows, int64_t columns) {
  launch<softmax_forward_warp_per_row<T, kLog>>(blocks_of(rows), kWarps * 32, 0, stream, x, y, rows, columns);
}

}  // namespace

template <class T>
void softmax_forward(Cuda on, const T* x, T* y, int64_t rows, int64_t columns) {
  if (rows == 0) return;
  if constexpr (std::is_same_v<T, double>) {
    warp_per_row<T, false>(on.stream, x, y, rows, columns);
  } else {
    static constexpr void (*kVersions[])(cudaStream_t, const T*, T*, int64_t, int64_t) = {
        warp_per_row<T, false>, ladder::softmax_thread_per_row, ladder::softmax_block_per_row,
        ladder::softmax_online};
    variants.pick(kVersions)(on.stream, x, y, rows, columns);
  }
}

template <class T>
void softmax_backward(Cuda on, const T* y, const T* dy, T* dx, int64_t rows, int64_t columns) {
  if (rows == 0) return;
  launch<softmax_backward_warp_per_row<T, false>>(blocks_of(rows), kWarps * 32, 0, on.stream, y, dy, dx, rows,
                                                  columns);
}

template <class T>
void log_softmax_forward(Cuda on, const T* x, T* y, int64_t rows, int64_t columns) {
  if (rows == 0) return;
  warp_per_row<T, true>(on.stream, x, y, rows, columns);
}

template <class T>
void log_softmax_backward(Cuda on, const T* y, const T* dy, T* dx, int64_t rows, int64_t columns) {
  if (rows == 0) return;
  launch<softmax_backward_warp_per_row<T, true>>(blocks_of(rows), kWarps * 32, 0, on.stream, y, dy, dx, rows,
                                                 columns);
}

#define GALVAN_SOFTMAX(T)                                                         \
  template void softmax_forward(Cuda, const T*, T*, int64_t, int64_t);            \
  template void softmax_backward(Cuda, const T*, const T*, T*, int64_t, int64_t); \
  template void log_softmax_forward(Cuda, const T*, T*, int64_t, int64_t);        \
  template void log_softmax_backward(Cuda, const T*, const T*, T*, int64_t, int64_t);
GALVAN_SOFTMAX(float)
GALVAN_SOFTMAX(double)
GALVAN_SOFTMAX(bfloat16)

}  // namespace galvan
