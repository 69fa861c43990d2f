// Softmax, rung 4, beside what training uses (rung 3: cuda/softmax.cu, a warp a row): maximum and sum in one pass.
//   l = sum_k exp(x[r,k] - m) of the elements so far, m being the largest of them: l becomes l exp(m - m') when m grows
//   to m' (Milakov and Gimelshein, arXiv:1805.02867)
// Changed  a lane keeps m and l together, and the lanes' are joined as two elements' are
// Helps    x is read twice instead of three times
// Costs    three exponentials an element instead of two. Of a row that stays in L1 the third reading is cheap: an H200
//          takes as long in bfloat16, a tenth longer in float
// Memory   2 R C sizeof(T) bytes while a row fits in L1; asked for are 3
// Launch   one row a warp, four warps a block
// Figure   bytes asked for, in README.md
#include <limits>

#include "core/math.h"
#include "cuda/ladder/softmax.h"
#include "cuda/warp.h"

namespace galvan::ladder {
namespace {

constexpr int kWarps = 4;

template <class T>
__global__ void softmax_forward_online(const T* x, T* y, int64_t rows, int64_t columns) {
  using A = Acc<T>;
  const int64_t row = int64_t{blockIdx.x} * kWarps + warp_id();
  if (row >= rows) return;
  x += row * columns;
  y += row * columns;

  // Finite, so that exp(-inf - largest) is 0 as long as nothing else has come.
  A largest = std::numeric_limits<A>::lowest(), sum = 0;
  for (int64_t c = lane_id(); c < columns; c += 32) {
    const A value = A(x[c]), next = value > largest ? value : largest;
    sum = sum * math::exp(largest - next) + math::exp(value - next);
    largest = next;
  }
  const A of_lane = largest;
  largest = warp_max(largest);
  sum = warp_sum(sum * math::exp(of_lane - largest));
  for (int64_t c = lane_id(); c < columns; c += 32) y[c] = T(math::exp(A(x[c]) - largest) / sum);
}

}  // namespace

template <class T>
void softmax_online(cudaStream_t stream, const T* x, T* y, int64_t rows, int64_t columns) {
  launch<softmax_forward_online<T>>(blocks_for(rows, kWarps), kWarps * 32, 0, stream, x, y, rows, columns);
}
template void softmax_online(cudaStream_t, const float*, float*, int64_t, int64_t);
template void softmax_online(cudaStream_t, const bfloat16*, bfloat16*, int64_t, int64_t);

}  // namespace galvan::ladder
