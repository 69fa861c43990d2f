// Layer norm, rung 1: a warp a row, element by element.
//   s = x + residual, xhat = (s - mean) rstd, y = xhat weight + bias; variance from the differences to the mean
// Changed  (the lowest rung; what a thread or a block a row would cost is on softmax's ladder)
// Costs    a load an element: the same bytes in four times as many requests as packs take, eight times in bfloat16
// Memory   2 R C sizeof(T) bytes, 4 with a residual; asked for, the rest from L1: 6 R C with weight and bias (RMS norm 5),
//          9 with a residual
// Launch   one row a warp, four warps a block
// Figure   requests, in README.md
#include <cmath>

#include "cuda/ladder/layer_norm.h"
#include "cuda/warp.h"

namespace galvan::ladder {
namespace {

constexpr int kWarps = 4;

template <class T>
__global__ void norm_forward_elements(NormForward<T> p) {
  using A = Acc<T>;
  const int64_t row = int64_t{blockIdx.x} * kWarps + warp_id(), columns = p.columns;
  if (row >= p.rows) return;
  const int64_t start = row * columns;

  const T* s = p.x + start;
  if (p.residual) {
    s = p.sum + start;
    for (int64_t c = lane_id(); c < columns; c += 32)
      p.sum[start + c] = T(A(p.x[start + c]) + A(p.residual[start + c]));
  }

  const A scale = A(1) / A(columns);
  A mean = 0;
  if (p.mean) {
    for (int64_t c = lane_id(); c < columns; c += 32) mean += A(s[c]);
    mean = warp_sum(mean) * scale;
  }
  A squares = 0;
  for (int64_t c = lane_id(); c < columns; c += 32) squares += (A(s[c]) - mean) * (A(s[c]) - mean);
  const A rstd = A(1) / std::sqrt(warp_sum(squares) * scale + A(p.eps));

  for (int64_t c = lane_id(); c < columns; c += 32) {
    A out = (A(s[c]) - mean) * rstd;
    if (p.weight) out *= A(p.weight[c]);
    if (p.bias) out += A(p.bias[c]);
    p.y[start + c] = T(out);
  }
  if (lane_id() == 0) {
    if (p.mean) p.mean[row] = mean;
    p.rstd[row] = rstd;
  }
}

}  // namespace

template <class T>
void layer_norm_elements(cudaStream_t stream, const NormForward<T>& p) {
  launch<norm_forward_elements<T>>(blocks_for(p.rows, kWarps), kWarps * 32, 0, stream, p);
}
template void layer_norm_elements(cudaStream_t, const NormForward<float>&);
template void layer_norm_elements(cudaStream_t, const NormForward<bfloat16>&);

}  // namespace galvan::ladder
