// Attention, rung 1: three passes, with the scores in memory between them.
//   S = scale Q K^T + mask        P = softmax(S)        O = P V        lse[t] = ln sum_j exp(S[t, j])
// Changed  (the lowest rung: what the formula says, a kernel for each of its parts)
// Costs    B H Tq Tk scores are written and read by three launches: memory and traffic grow with the square of the
//          length. A thread an element in both products, as on the second rung of the matrix product's ladder
// Memory   q, k, v, y and lse once, and four times scores of B H Tq Tk sizeof(Acc<T>) bytes: written, read and written,
//          read. Asked for are the scores twice more by the softmax; k by every query, q by every 32 keys; v by every
//          query, and a row of scores by every 32 elements of a head
// Launch   scores and results: 256 threads, an element each; the softmax between: one row a warp, four warps a block.
//          As many heads at once as the workspace has room for
// Figure   launches and bytes asked for, in README.md
#include <algorithm>
#include <cmath>

#include "core/check.h"
#include "core/math.h"
#include "cuda/ladder/attention.h"
#include "cuda/runtime/workspace.h"
#include "cuda/warp.h"

namespace galvan::ladder {
namespace {

constexpr int kThreads = 256, kWarps = 4;

// Heads `first` on of all B H; grid: (elements of a head, heads).
struct Head {
  int64_t b, h, g;
  __device__ Head(const AttentionSizes& sizes, int64_t first)
      : b((first + blockIdx.y) / sizes.H), h((first + blockIdx.y) % sizes.H), g(h / (sizes.H / sizes.G)) {}
};

template <class T>
__global__ void scores_of_keys(AttentionSizes sizes, int64_t first, HeadRows<const T> q, HeadRows<const T> k,
                               Acc<T>* scores) {
  using A = Acc<T>;
  const Head head(sizes, first);
  const int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x, t = i / sizes.Tk, j = i % sizes.Tk;
  if (t >= sizes.Tq) return;
  A sum = -INFINITY;
  if (j < sizes.visible(t)) {
    const T *const query = q.at(head.b, head.h, t), *const key = k.at(head.b, head.g, j);
    sum = 0;
    for (int64_t d = 0; d < sizes.D; ++d) sum += A(query[d]) * A(key[d]);
    sum *= A(sizes.scale);
  }
  scores[blockIdx.y * sizes.Tq * sizes.Tk + i] = sum;
}

template <class A>
__global__ void softmax_of_scores(int64_t rows, int64_t columns, A* scores, A* lse) {
  const int64_t row = int64_t{blockIdx.x} * kWarps + warp_id();
  if (row >= rows) return;
  scores += row * columns;
  A largest = -INFINITY;
  for (int64_t c = lane_id(); c < columns; c += 32) largest = scores[c] > largest ? scores[c] : largest;
  largest = warp_max(largest);
  A sum = 0;
  for (int64_t c = lane_id(); c < columns; c += 32) sum += math::exp(scores[c] - largest);
  sum = warp_sum(sum);
  for (int64_t c = lane_id(); c < columns; c += 32) scores[c] = math::exp(scores[c] - largest) / sum;
  if (lane_id() == 0) lse[row] = largest + std::log(sum);
}

template <class T>
__global__ void weighted_values(AttentionSizes sizes, int64_t first, const Acc<T>* weights,
                                HeadRows<const T> v, HeadRows<T> y) {
  using A = Acc<T>;
  const Head head(sizes, first);
  const int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x, t = i / sizes.D, d = i % sizes.D;
  if (t >= sizes.Tq) return;
  weights += (blockIdx.y * sizes.Tq + t) * sizes.Tk;
  A sum = 0;
  for (int64_t j = 0; j < sizes.visible(t); ++j) sum += weights[j] * A(v.at(head.b, head.g, j)[d]);
  y.at(head.b, head.h, t)[d] = T(sum);
}

}  // namespace

template <class T>
void attention_three_pass(cudaStream_t stream, const AttentionSizes& sizes, HeadRows<const T> q,
                          HeadRows<const T> k, HeadRows<const T> v, HeadRows<T> y, Acc<T>* lse) {
  const int64_t of_head = sizes.Tq * sizes.Tk, heads = sizes.B * sizes.H;
  const Workspace workspace = workspace_of(stream);
  Acc<T>* const scores = static_cast<Acc<T>*>(workspace.data);
  const int64_t room = static_cast<int64_t>(workspace.bytes / sizeof(Acc<T>)) / of_head;
  check(room > 0, "attention: the scores of one head, ", sizes.Tq, " x ", sizes.Tk,
        ", have no room in the workspace of ", workspace.bytes, " bytes");
  check(!Recorder::current(),
        "attention: three_pass keeps scores in the stream's workspace, which replicas share");
  int64_t count = 0;
  for (int64_t first = 0; first < heads; first += count) {
    count = std::min({room, heads - first, int64_t{65535}});  // CUDA's limit
    const unsigned along_y = static_cast<unsigned>(count);
    launch<scores_of_keys<T>>(dim3(blocks_for(of_head, kThreads), along_y), kThreads, 0, stream, sizes, first,
                              q, k, scores);
    launch<softmax_of_scores<Acc<T>>>(blocks_for(count * sizes.Tq, kWarps), kWarps * 32, 0, stream,
                                      count * sizes.Tq, sizes.Tk, scores, lse + first * sizes.Tq);
    launch<weighted_values<T>>(dim3(blocks_for(sizes.Tq * sizes.D, kThreads), along_y), kThreads, 0, stream,
                               sizes, first, static_cast<const Acc<T>*>(scores), v, y);
  }
}
#define GALVAN_THREE_PASS(T)                                                                 \
  template void attention_three_pass(cudaStream_t, const AttentionSizes&, HeadRows<const T>, \
                                     HeadRows<const T>, HeadRows<const T>, HeadRows<T>, Acc<T>*);
GALVAN_THREE_PASS(float)
GALVAN_THREE_PASS(bfloat16)

}  // namespace galvan::ladder
