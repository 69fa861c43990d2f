// Draws an index from logits by core/sampling_rule.h: temperature, top-k, top-p.
// Shapes   logits [V], drawn []
// Memory   V sizeof(T) bytes; asked for, out of the cache, are 3 V, for top-k once a bit of a logit and twice more,
//          for top-p up to twice that
// Launch   one block: 32 to 256 threads, each with 4 logits or more
// Order    sums are of whole numbers, the same in any order
#include <algorithm>

#include "core/kernels.h"
#include "cuda/warp.h"

namespace galvan {
namespace {

constexpr int kMostThreads = 256;
using Whole = unsigned long long;

// The sum of measure(i) over all i.
template <class F>
__device__ Whole sum_over(int64_t n, F measure) {
  Whole sum = 0;
  for (int64_t i = threadIdx.x; i < n; i += blockDim.x) sum += measure(i);
  return blockDim.x == 32 ? warp_sum(sum) : block_sum(sum);
}

// The first i whose measure(0) + ... + measure(i) exceeds `point`, which the sum over all i does.
template <class F>
__device__ int64_t first_beyond(int64_t n, Whole point, F measure) {
  GALVAN_SHARED(Whole[32], of_warp);
  GALVAN_SHARED(int64_t, found);
  const int64_t each = (n + blockDim.x - 1) / blockDim.x, begin = threadIdx.x * each;
  const int64_t end = begin + each < n ? begin + each : n;
  Whole own = 0;
  for (int64_t i = begin; i < end; ++i) own += measure(i);
  Whole before = own;  // with the lanes before this one
  for (int step = 1; step < 32; step *= 2) {
    const Whole other = __shfl_up_sync(kAllLanes, before, static_cast<unsigned>(step));
    if (lane_id() >= step) before += other;
  }
  if (lane_id() == 31) of_warp[warp_id()] = before;
  before -= own;
  __syncthreads();  // every warp's sum is written before it is read
  for (int warp = 0; warp < warp_id(); ++warp) before += of_warp[warp];
  if (before <= point && point - before < own) {
    int64_t i = begin;
    for (Whole left = point - before; left >= measure(i); ++i) left -= measure(i);
    found = i;
  }
  __syncthreads();  // it is found before it is read; the next call writes behind its own first barrier
  return found;
}

// The first ones of the order: all larger logits, and those that equal `key` up to index `last`.
template <class Key>
struct FirstOnes {
  Key key;
  int64_t last;
  __device__ bool contain(Key k, int64_t i) const { return k > key || (k == key && i <= last); }
};

// The fewest first ones whose measures reach `target`, which is positive and at most the sum of all.
template <class Key, class K, class F>
__device__ FirstOnes<Key> fewest_that_reach(int64_t n, Whole target, K key_of, F measure) {
  Key key = 0;  // the largest one from which upwards they reach it
  for (Key bit = Key{1} << (8 * sizeof(Key) - 1); bit != 0; bit >>= 1) {
    const Key tried = key | bit;
    if (sum_over(n, [&](int64_t i) { return key_of(i) >= tried ? measure(i) : 0; }) >= target) key = tried;
  }
  const Whole above = sum_over(n, [&](int64_t i) { return key_of(i) > key ? measure(i) : 0; });
  return {key,
          first_beyond(n, target - above - 1, [&](int64_t i) { return key_of(i) == key ? measure(i) : 0; })};
}

template <class T>
__global__ void sample_one_block(SamplingRule rule, const T* logits, int64_t n, int32_t* drawn) {
  using A = Acc<T>;
  using Key = decltype(sampling_key(A()));
  const auto key_of = [logits](int64_t i) { return sampling_key(A(logits[i])); };

  A largest = -INFINITY;
  Whole nans = 0;
  for (int64_t i = threadIdx.x; i < n; i += blockDim.x) {
    const A x = A(logits[i]);
    nans += x != x;
    largest = x > largest ? x : largest;
  }
  nans = block_sum(nans);
  const A best = block_max(largest);
  if (nans > 0 || best - best != 0) {
    if (threadIdx.x == 0) *drawn = nans > 0 ? kLogitIsNan : kLargestLogitIsInfinite;
    return;
  }

  FirstOnes<Key> kept{0, n};
  const auto weight = [&](int64_t i) -> Whole {
    const A x = A(logits[i]);
    return kept.contain(sampling_key(x), i) ? sampling_weight(float(x - best), rule.inverse_temperature) : 0;
  };
  int64_t result;
  if (rule.top_k == 1) {
    result = first_beyond(n, 0, [&](int64_t i) -> Whole { return A(logits[i]) == best; });
  } else {
    if (rule.top_k > 0 && rule.top_k < n)
      kept = fewest_that_reach<Key>(n, static_cast<Whole>(rule.top_k), key_of,
                                    [](int64_t) -> Whole { return 1; });
    if (rule.top_p < 1)
      kept = fewest_that_reach<Key>(n, sampling_target(sum_over(n, weight), rule.top_p), key_of, weight);
    result = first_beyond(n, sampling_point(sum_over(n, weight), rule.random), weight);
  }
  if (threadIdx.x == 0) *drawn = static_cast<int32_t>(result);
}

}  // namespace

template <class T>
void sample(Cuda on, const SamplingRule& rule, const T* logits, int64_t classes, int32_t* drawn) {
  const auto threads = static_cast<unsigned>(std::min<int64_t>(kMostThreads, (classes + 127) / 128 * 32));
  launch<sample_one_block<T>>(1, threads, 0, on.stream, rule, logits, classes, drawn);
}

template void sample(Cuda, const SamplingRule&, const float*, int64_t, int32_t*);
template void sample(Cuda, const SamplingRule&, const double*, int64_t, int32_t*);
template void sample(Cuda, const SamplingRule&, const bfloat16*, int64_t, int32_t*);

}  // namespace galvan
