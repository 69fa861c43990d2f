// Attention, rung 2: one pass; a query goes from key to key, and no score is ever stored.
//   m and l as in the online softmax (softmax_4_online.cu), and with them o = sum_j exp(S[t, j] - m) V[j]: all three are
//   scaled by exp(m - m') when m grows to m'
// Changed  one launch, of a warp a query: its lanes share out the head's elements, and a score is their sum
// Helps    neither memory nor traffic for scores
// Costs    five shuffles a score; two exponentials a key, one after the other; k and v are read by every query by itself
// Memory   q, k, v, y and lse once; asked for are k and v by every query that sees them
// Launch   one query of a head a warp, four warps a block
// Figure   launches and bytes asked for, in README.md
#include <cmath>
#include <limits>

#include "core/check.h"
#include "core/math.h"
#include "cuda/ladder/attention.h"
#include "cuda/warp.h"

namespace galvan::ladder {
namespace {

constexpr int kWarps = 4;
constexpr int kMostHead = 128, kEach = kMostHead / 32;  // elements of a lane: lane, lane + 32, ...

template <class T>
__device__ inline void load_row(const T* row, int D, Acc<T> (&x)[kEach]) {
#pragma unroll
  for (int i = 0; i < kEach; ++i) {
    const int d = lane_id() + 32 * i;
    x[i] = d < D ? Acc<T>(row[d]) : Acc<T>(0);
  }
}

template <class T>
__global__ void attend_online(AttentionSizes sizes, HeadRows<const T> q, HeadRows<const T> k,
                              HeadRows<const T> v, HeadRows<T> y, Acc<T>* lse) {
  using A = Acc<T>;
  const int64_t row = int64_t{blockIdx.x} * kWarps + warp_id(), t = row % sizes.Tq, head = row / sizes.Tq;
  if (head >= sizes.B * sizes.H) return;
  const int64_t b = head / sizes.H, h = head % sizes.H, g = h / (sizes.H / sizes.G);
  const int D = static_cast<int>(sizes.D);
  const A scale = static_cast<A>(sizes.scale);

  A query[kEach], o[kEach] = {}, x[kEach];
  load_row(q.at(b, h, t), D, query);
  A largest = std::numeric_limits<A>::lowest(), sum = 0;
  for (int64_t j = 0; j < sizes.visible(t); ++j) {
    load_row(k.at(b, g, j), D, x);
    A score = 0;
#pragma unroll
    for (int i = 0; i < kEach; ++i) score += query[i] * x[i];
    score = warp_sum(score) * scale;
    const A next = score > largest ? score : largest;
    const A factor = math::exp(largest - next), weight = math::exp(score - next);
    largest = next;
    sum = sum * factor + weight;
    load_row(v.at(b, g, j), D, x);
#pragma unroll
    for (int i = 0; i < kEach; ++i) o[i] = o[i] * factor + weight * x[i];
  }

  T* const to = y.at(b, h, t);
#pragma unroll
  for (int i = 0; i < kEach; ++i) {
    const int d = lane_id() + 32 * i;
    if (d < D) to[d] = T(o[i] / sum);
  }
  if (lane_id() == 0) lse[row] = largest + std::log(sum);
}

}  // namespace

template <class T>
void attention_online(cudaStream_t stream, const AttentionSizes& sizes, HeadRows<const T> q,
                      HeadRows<const T> k, HeadRows<const T> v, HeadRows<T> y, Acc<T>* lse) {
  check(sizes.D <= kMostHead, "attention: heads of size ", sizes.D, ", but CUDA's kernels take at most ",
        kMostHead);
  launch<attend_online<T>>(blocks_for(sizes.B * sizes.H * sizes.Tq, kWarps), kWarps * 32, 0, stream, sizes, q,
                           k, v, y, lse);
}
#define GALVAN_ONLINE(T)                                                                                    \
  template void attention_online(cudaStream_t, const AttentionSizes&, HeadRows<const T>, HeadRows<const T>, \
                                 HeadRows<const T>, HeadRows<T>, Acc<T>*);
GALVAN_ONLINE(float)
GALVAN_ONLINE(bfloat16)

}  // namespace galvan::ladder
