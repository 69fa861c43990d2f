// Cross-entropy of logits against class numbers, with label smoothing s and rows that count for nothing.
//   t_v = (1 - s) [v = target] + s / V            z_v = logits_v - max_u logits_u      L = ln sum_v e^(z_v)
//   loss = -sum_v t_v (z_v - L) = L - (1 - s) z_target - s sum_v z_v / V
//   dlogits_v = (e^(z_v - L) - t_v) weight dy
// A thread goes through its part of a row once: with m the largest so far, sum_v e^(x_v - m) is multiplied by
// e^(m - m') whenever m grows to m' (Milakov, Gimelshein: Online normalizer calculation for softmax, 2018).
// Shapes   logits, dlogits [R, V]; targets, losses, log_sums [R]
// Memory   R V sizeof(T) bytes forward, 2 backward, 2 for both at once; asked for are 1, 3 and 3, and one
//          more with smoothing forward or at once, a row's later readings from L2; at once, of up to kMostInRegisters
//          classes, 2. The total: R (sizeof(A) + 4); the weight: 4 R
// Compute  about 4 R V FLOPs: bandwidth-bound, judge it in GB/s
// Launch   one row a warp and four a block for few classes, which keeps it in registers where it has room; a block of
//          sixteen warps for many; the total: one block
#include <cmath>

#include "core/kernels.h"
#include "core/math.h"
#include "cuda/pack.h"
#include "cuda/replicas.h"
#include "cuda/warp.h"

namespace galvan {
namespace {

constexpr int kTotalThreads = 1024;

// Rows of few classes have a warp each, of which a block has several along y; others a block of their own.
constexpr int64_t kFewClasses = 1024;
constexpr unsigned kRowThreads = 512, kRowsOfBlock = 4;

__device__ inline int64_t row_of_thread() { return int64_t{blockIdx.x} * blockDim.y + threadIdx.y; }
__device__ inline bool has_warp() { return blockDim.y > 1; }

template <class A>
__device__ inline A row_sum(A value) {
  return has_warp() ? warp_sum(value) : block_sum(value);
}
template <class A>
__device__ inline A row_max(A value) {
  return has_warp() ? warp_max(value) : block_max(value);
}

// Calls visit(v, pack) for what this thread has of a row: packs of kN logits from class v on. Single ones where packs are
// not whole: neighbouring threads have neighbours then.
template <int kN, class T, class F>
__device__ inline void for_classes(const CrossEntropyRows& p, const T* x, const F& visit) {
  for (int64_t v = int64_t{threadIdx.x} * kN; v < p.classes; v += int64_t{blockDim.x} * kN) {
    const Pack<T, kN> pack = pack_at<kN>(x + v);
    visit(v, pack);
  }
}

template <class T>
struct RowLoss {
  Acc<T> max, log_sum, loss;
};

// Every thread of the row gets it.
template <class T, int kN>
__device__ inline RowLoss<T> loss_of_row(const CrossEntropyRows& p, const T* x, int32_t target) {
  using A = Acc<T>;
  A largest = -INFINITY, sum = 0;
  for_classes<kN>(p, x, [&](int64_t, const Pack<T, kN>& pack) {
    A next = largest;
#pragma unroll
    for (int i = 0; i < kN; ++i) next = A(pack.at[i]) > next ? A(pack.at[i]) : next;
    const A shift = next == -INFINITY ? A(0) : next;  // -inf - -inf would be NaN
    sum *= math::exp(largest - shift);
#pragma unroll
    for (int i = 0; i < kN; ++i) sum += math::exp(A(pack.at[i]) - shift);
    largest = next;
  });
  const A m = row_max(largest);
  sum = row_sum(largest == -INFINITY ? sum : sum * math::exp(largest - m));
  const A log_sum = std::log(sum);

  const A smoothing = A(p.label_smoothing);
  A loss = log_sum - (A(1) - smoothing) * (A(x[target]) - m);
  if (smoothing != 0) {
    A level = 0;
    for_classes<kN>(p, x, [&](int64_t, const Pack<T, kN>& pack) {
#pragma unroll
      for (int i = 0; i < kN; ++i) level += A(pack.at[i]) - m;
    });
    loss -= smoothing * (row_sum(level) / A(p.classes));
  }
  return {m, log_sum, loss};
}

// dx may be x: a thread writes what it alone has read.
template <class T, int kN>
__device__ inline void write_gradient(const CrossEntropyRows& p, const T* x, int32_t target, Acc<T> m,
                                      Acc<T> log_sum, Acc<T> scale, T* dx) {
  using A = Acc<T>;
  const A smoothing = A(p.label_smoothing), level = smoothing / A(p.classes);
  for_classes<kN>(p, x, [&](int64_t v, const Pack<T, kN>& pack) {
    Pack<T, kN> out;
#pragma unroll
    for (int i = 0; i < kN; ++i) {
      A d = math::exp((A(pack.at[i]) - m) - log_sum) - level;
      if (v + i == target) d -= A(1) - smoothing;
      out.at[i] = T(d * scale);
    }
    pack_at<kN>(dx + v) = out;
  });
}

template <class T>
__device__ inline void write_zeros(const CrossEntropyRows& p, T* dx) {
  for (int64_t v = threadIdx.x; v < p.classes; v += blockDim.x) dx[v] = T(0);
}

template <class T, int kN>
__global__ void cross_entropy_forward_block_per_row(CrossEntropyRows p, const T* logits, Acc<T>* losses,
                                                    Acc<T>* log_sums) {
  const int64_t row = row_of_thread();
  if (row >= p.rows) return;
  const int32_t target = p.targets[row];
  RowLoss<T> of_row{};
  if (target != p.ignore_index) of_row = loss_of_row<T, kN>(p, logits + row * p.classes, target);
  if (threadIdx.x > 0) return;
  losses[row] = of_row.loss;
  log_sums[row] = of_row.log_sum;
}

template <class T, int kN>
__global__ void cross_entropy_backward_block_per_row(CrossEntropyRows p, const T* logits,
                                                     const Acc<T>* log_sums, const Acc<T>* dy, T* dlogits) {
  using A = Acc<T>;
  const int64_t row = row_of_thread();
  if (row >= p.rows) return;
  const int32_t target = p.targets[row];
  T* const dx = dlogits + row * p.classes;
  if (target == p.ignore_index) return write_zeros(p, dx);
  const T* x = logits + row * p.classes;

  A m = -INFINITY;
  for_classes<kN>(p, x, [&](int64_t, const Pack<T, kN>& pack) {
#pragma unroll
    for (int i = 0; i < kN; ++i) m = A(pack.at[i]) > m ? A(pack.at[i]) : m;
  });
  write_gradient<T, kN>(p, x, target, row_max(m), log_sums[row], dy[row], dx);
}

template <class T, int kN>
__device__ void cross_entropy_both_block_per_row(CrossEntropyRows p, const T* logits, const Acc<T>* weight,
                                                 Acc<T>* losses, T* dlogits) {
  const int64_t row = row_of_thread();
  if (row >= p.rows) return;
  const int32_t target = p.targets[row];
  T* const dx = dlogits + row * p.classes;
  if (target == p.ignore_index) {
    if (threadIdx.x == 0) losses[row] = 0;
    return write_zeros(p, dx);
  }
  const T* x = logits + row * p.classes;
  const RowLoss<T> of_row = loss_of_row<T, kN>(p, x, target);
  if (threadIdx.x == 0) losses[row] = of_row.loss;
  // All have read the target's logit before its thread writes there.
  if (has_warp()) {
    __syncwarp();
  } else {
    __syncthreads();
  }
  const Acc<T> upstream = weight ? *weight : Acc<T>(1) / Acc<T>(p.rows);
  write_gradient<T, kN>(p, x, target, of_row.max, of_row.log_sum, upstream, dx);
}

// Rows of up to kMostInRegisters classes, which are read once and whose exponentials are taken once.
constexpr int64_t kMostInRegisters = 128;
template <class T>
__device__ void cross_entropy_both_in_registers(CrossEntropyRows p, const T* logits, const Acc<T>* weight,
                                                Acc<T>* losses, T* dlogits) {
  using A = Acc<T>;
  constexpr int kOwn = kMostInRegisters / 32;
  const int64_t row = row_of_thread();
  if (row >= p.rows) return;
  const int classes = static_cast<int>(p.classes), lane = static_cast<int>(threadIdx.x);
  const int32_t target = p.targets[row];
  T* const dx = dlogits + row * p.classes;
  if (target == p.ignore_index) {
    if (lane == 0) losses[row] = 0;
    return write_zeros(p, dx);
  }
  const T* const x = logits + row * p.classes;
  const A at_target = A(x[target]);
  A own[kOwn], largest = -INFINITY;
#pragma unroll
  for (int i = 0; i < kOwn; ++i) {
    own[i] = lane + 32 * i < classes ? A(x[lane + 32 * i]) : -INFINITY;
    largest = own[i] > largest ? own[i] : largest;
  }
  const A m = warp_max(largest), smoothing = A(p.label_smoothing);
  A sum = 0, level = 0;
#pragma unroll
  for (int i = 0; i < kOwn; ++i) {
    const A z = own[i] - m;
    if (smoothing != 0 && lane + 32 * i < classes) level += z;
    own[i] = math::exp(z);
    sum += own[i];
  }
  sum = warp_sum(sum);
  if (smoothing != 0) level = smoothing * (warp_sum(level) / A(classes));
  if (lane == 0) losses[row] = std::log(sum) - (A(1) - smoothing) * (at_target - m) - level;
  __syncwarp();  // all have read the target's logit before its lane writes there
  const A upstream = weight ? *weight : A(1) / A(p.rows), share = A(1) / sum, evenly = smoothing / A(classes);
#pragma unroll
  for (int i = 0; i < kOwn; ++i) {
    if (lane + 32 * i >= classes) continue;
    A d = own[i] * share - evenly;
    if (lane + 32 * i == target) d -= A(1) - smoothing;
    dx[lane + 32 * i] = T(d * upstream);
  }
}

// The number of rows that count, in every thread.
__device__ inline int64_t rows_that_count(const CrossEntropyRows& p) {
  int64_t count = 0;
  for (int64_t r = threadIdx.x; r < p.rows; r += kTotalThreads) count += p.targets[r] != p.ignore_index;
  return block_sum(count);
}

template <class A>
__device__ void cross_entropy_weight_one_block(CrossEntropyRows p, A* weight) {
  const int64_t count = rows_that_count(p);
  if (threadIdx.x == 0) *weight = A(1) / A(count);
}

template <class A>
__device__ void cross_entropy_total_one_block(CrossEntropyRows p, const A* losses, bool mean, A* loss) {
  double sum = 0;
  for (int64_t r = threadIdx.x; r < p.rows; r += kTotalThreads) sum += double(losses[r]);
  sum = block_sum(sum);
  const int64_t count = rows_that_count(p);
  if (threadIdx.x == 0) *loss = A(mean ? sum / double(count) : sum);
}

// Calls run.operator()<kN>(grid, block) as the rows and their alignment ask.
template <class T, class Run>
void for_rows(const CrossEntropyRows& p, std::initializer_list<const T*> rows, const Run& run) {
  if (p.rows == 0) return;
  const dim3 block = p.classes <= kFewClasses ? dim3(32, kRowsOfBlock) : dim3(kRowThreads);
  const unsigned blocks = blocks_for(p.rows, static_cast<int>(block.y));
  if (packs_are_whole<T>(p.classes, rows)) {
    run.template operator()<kPack<T>>(blocks, block);
  } else {
    run.template operator()<1>(blocks, block);
  }
}

}  // namespace

template <class T>
void cross_entropy_forward(Cuda on, const CrossEntropyRows& p, const T* logits, Acc<T>* losses,
                           Acc<T>* log_sums) {
  for_rows<T>(p, {logits}, [&]<int kN>(unsigned blocks, dim3 block) {
    launch<cross_entropy_forward_block_per_row<T, kN>>(blocks, block, 0, on.stream, p, logits, losses,
                                                       log_sums);
  });
}

template <class T>
void cross_entropy_backward(Cuda on, const CrossEntropyRows& p, const T* logits, const Acc<T>* log_sums,
                            const Acc<T>* dy, T* dlogits) {
  for_rows<T>(p, {logits, dlogits}, [&]<int kN>(unsigned blocks, dim3 block) {
    launch<cross_entropy_backward_block_per_row<T, kN>>(blocks, block, 0, on.stream, p, logits, log_sums, dy,
                                                        dlogits);
  });
}

template <class T>
void cross_entropy_both(Cuda on, const CrossEntropyRows& p, const T* logits, const Acc<T>* weight,
                        Acc<T>* losses, T* dlogits) {
  if (p.rows > 0 && p.classes <= kMostInRegisters)
    return launch_body<cross_entropy_both_in_registers<T>, Body{.replicas = kReplicated<T>}>(
        blocks_for(p.rows, kRowsOfBlock), dim3(32, kRowsOfBlock), 0, on.stream, p, logits, weight, losses,
        dlogits);
  for_rows<T>(p, {logits, dlogits}, [&]<int kN>(unsigned blocks, dim3 block) {
    launch_body<cross_entropy_both_block_per_row<T, kN>, Body{.replicas = kReplicated<T>}>(
        blocks, block, 0, on.stream, p, logits, weight, losses, dlogits);
  });
}

template <class A>
void cross_entropy_weight(Cuda on, const CrossEntropyRows& p, A* weight) {
  launch_body<cross_entropy_weight_one_block<A>, Body{.replicas = kReplicated<A>}>(1, kTotalThreads, 0,
                                                                                   on.stream, p, weight);
}

template <class A>
void cross_entropy_total(Cuda on, const CrossEntropyRows& p, const A* losses, bool mean, A* loss) {
  launch_body<cross_entropy_total_one_block<A>, Body{.replicas = kReplicated<A>}>(
      1, kTotalThreads, 0, on.stream, p, losses, mean, loss);
}

#define GALVAN_CROSS_ENTROPY(T)                                                                   \
  template void cross_entropy_forward(Cuda, const CrossEntropyRows&, const T*, Acc<T>*, Acc<T>*); \
  template void cross_entropy_backward(Cuda, const CrossEntropyRows&, const T*, const Acc<T>*,    \
                                       const Acc<T>*, T*);                                        \
  template void cross_entropy_both(Cuda, const CrossEntropyRows&, const T*, const Acc<T>*, Acc<T>*, T*);
GALVAN_CROSS_ENTROPY(float)
GALVAN_CROSS_ENTROPY(double)
GALVAN_CROSS_ENTROPY(bfloat16)
#define GALVAN_CROSS_ENTROPY_TOTAL(A)                                    \
  template void cross_entropy_weight(Cuda, const CrossEntropyRows&, A*); \
  template void cross_entropy_total(Cuda, const CrossEntropyRows&, const A*, bool, A*);
GALVAN_CROSS_ENTROPY_TOTAL(float)
GALVAN_CROSS_ENTROPY_TOTAL(double)

}  // namespace galvan
