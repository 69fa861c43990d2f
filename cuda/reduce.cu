// Reductions of the middle dimension.
//   sum      y[o, i] = scale sum_l x[o, l, i]
//   max      y[o, i] = max_l x[o, l, i];  dx[o, l, i] = dy[o, i] / ties[o, i] where x[o, l, i] = y[o, i], else 0
//   argmax   y[o] = the first l with x[o, l] = max_l x[o, l]
//   variance y[o] = sum_l (x[o, l] - mean)^2 / (L - correction)
// Shapes   x, dx: [O, L, I], y, dy: [O, I]
// Memory   O L I sizeof(T) bytes, max_backward 2; asked for, from cache the second time: x twice by
//          max_backward, argmax and variance
// Launch   a block has (columns i, strands, outputs o): a strand takes every so manieth l, and neighbouring
//          threads read neighbouring elements whether I is 1 or large. Where O = 1 and I is a
//          multiple of a pack, a thread sums up to kFewRows rows of a pack; a block, of a replica's, up to kRowsOfReplica
// Ladder   cuda/ladder/README.md: the sum is the last rung of four
// Order    a strand's elements in order, then the strands in a fixed tree, or, by sum_few_rows and sum_rows_one_block, in
//          theirs: the shape alone decides, and whether it is a replica's
#include <algorithm>
#include <limits>

#include "core/kernels.h"
#include "core/pointwise.h"
#include "core/variants.h"
#include "cuda/column_sums.h"
#include "cuda/ladder/sum.h"
#include "cuda/pack.h"
#include "cuda/replicas.h"
#include "cuda/warp.h"

namespace galvan {
namespace {

Variants variants("sum", "cuda",
                  {{"strands", "cuda/reduce.cu"},
                   {"interleaved", "cuda/ladder/sum_1_interleaved.cu"},
                   {"sequential", "cuda/ladder/sum_2_sequential.cu"},
                   {"shuffles", "cuda/ladder/sum_3_shuffles.cu"}});

template <class A>
struct SumOf {
  __device__ static A nothing() { return A{}; }
  __device__ static A combine(A a, A b) { return Add()(a, b); }
};

template <class A>
struct LargestOf {
  __device__ static A nothing() {
    return std::numeric_limits<A>::has_infinity ? -std::numeric_limits<A>::infinity()
                                                : std::numeric_limits<A>::lowest();
  }
  __device__ static A combine(A a, A b) { return Maximum()(a, b); }
};

struct SmallestIndex {
  __device__ static int32_t nothing() { return std::numeric_limits<int32_t>::max(); }
  __device__ static int32_t combine(int32_t a, int32_t b) { return Minimum()(a, b); }
};

// Combines `value` over the strands of a column; each of its threads gets the result. May be called again
// right away, by all threads of the block.
template <class Op, class A>
__device__ A combine_strands(A value) {
  const int columns = static_cast<int>(blockDim.x), threads = columns * static_cast<int>(blockDim.y);
  for (int flip = columns; flip < 32 && flip < threads; flip *= 2)
    value = Op::combine(value, __shfl_xor_sync(kAllLanes, value, flip));
  if (threads <= 32) return value;

  GALVAN_SHARED(A[32][32], of_warp);  // (warp, column)
  const int thread = static_cast<int>(threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z));
  const int warps = threads / 32, first = thread / threads * warps;
  if (thread % 32 < columns) of_warp[thread / 32][thread % 32] = value;
  __syncthreads();  // every warp's value is written before it is read
  value = of_warp[first][threadIdx.x];
  for (int w = 1; w < warps; ++w) value = Op::combine(value, of_warp[first + w][threadIdx.x]);
  __syncthreads();  // all have read before the next call writes
  return value;
}

// The column that a thread works on.
struct Column {
  bool exists;
  int64_t at;     // of y
  int64_t first;  // of x
  int64_t length, inner;

  __device__ Column(int64_t outer, int64_t length, int64_t inner) : length(length), inner(inner) {
    const int64_t tiles = (inner + blockDim.x - 1) / blockDim.x;
    const int64_t o = blockIdx.x / tiles * blockDim.z + threadIdx.z;
    const int64_t i = blockIdx.x % tiles * blockDim.x + threadIdx.x;
    exists = o < outer && i < inner;
    at = o * inner + i;
    first = o * length * inner + i;
  }

  // Combines value_at(offset in x, l) over the column.
  template <class Op, class F>
  __device__ auto combine(F value_at) const {
    auto value = Op::nothing();
    if (exists) {
#pragma unroll 4
      for (int64_t l = threadIdx.y; l < length; l += blockDim.y)
        value = Op::combine(value, value_at(first + l * inner, l));
    }
    return combine_strands<Op>(value);
  }
  __device__ bool writes() const { return exists && threadIdx.y == 0; }
};

template <class Op, class T>
__device__ void reduce_columns(const T* x, T* y, int64_t outer, int64_t length, int64_t inner, double scale) {
  using A = Acc<T>;
  const Column column(outer, length, inner);
  const A total = column.combine<Op>([x](int64_t at, int64_t) { return static_cast<A>(x[at]); });
  if (column.writes()) y[column.at] = static_cast<T>(scale == 1 ? total : MulScalar{scale}(total));
}

// Of few rows: a thread has the whole sum of a pack's columns.
constexpr int64_t kFewRows = 64;
constexpr int kPackThreads = 128;
template <class T, bool kWhole>
__device__ void sum_few_rows(const T* x, T* y, int64_t length, int64_t inner, double scale) {
  const int64_t c = (int64_t{blockIdx.x} * kPackThreads + threadIdx.x) * kPack<T>;
  if (c >= inner) return;
  Wide<T> total{};
#pragma unroll 8  // so many rows are read at once
  for (int64_t l = 0; l < length; ++l) {
    const Wide<T> row = widened<T>(load_raw<kWhole>(x + l * inner, c, inner));
#pragma unroll
    for (int i = 0; i < kPack<T>; ++i) total.at[i] += row.at[i];
  }
#pragma unroll
  for (int i = 0; i < kPack<T>; ++i)
    if (scale != 1) total.at[i] = MulScalar{scale}(total.at[i]);
  store_raw<kWhole>(y, c, inner, narrowed<T>(total));
}

// Of more rows, of a replica's: a block has kTilePacks packs of columns, and kStrandsOfPack threads for each, which take
// every so manieth row. A model by itself has too few blocks that way.
constexpr int kTilePacks = 16, kStrandsOfPack = 32;
template <class T, bool kWhole>
__device__ void sum_rows_one_block(const T* x, T* y, int64_t length, int64_t inner, double scale) {
  using A = Acc<T>;
  constexpr int kColumns = kTilePacks * kPack<T>;
  GALVAN_SHARED(A[kStrandsOfPack][kColumns], of_strand);
  const int own = static_cast<int>(threadIdx.x) % kTilePacks * kPack<T>,
            strand = static_cast<int>(threadIdx.x) / kTilePacks;
  const int64_t first = int64_t{blockIdx.x} * kColumns;
  Wide<T> total{};
  if (first + own < inner) {
#pragma unroll 8  // so many rows are read at once
    for (int64_t l = strand; l < length; l += kStrandsOfPack) {
      const Wide<T> row = widened<T>(load_raw<kWhole>(x + l * inner, first + own, inner));
#pragma unroll
      for (int i = 0; i < kPack<T>; ++i) total.at[i] += row.at[i];
    }
  }
#pragma unroll
  for (int i = 0; i < kPack<T>; ++i) of_strand[strand][own + i] = total.at[i];
  __syncthreads();  // every strand's sums are there before they are added
  const int c = static_cast<int>(threadIdx.x);
  if (c >= kColumns || first + c >= inner) return;
  A sum = 0;
  for (int s = 0; s < kStrandsOfPack; ++s) sum += of_strand[s][c];
  y[first + c] = T(scale == 1 ? sum : MulScalar{scale}(sum));
}

// Equal, or both NaN.
template <class A>
__device__ bool same(A a, A b) {
  return (a == b) | ((a != a) & (b != b));
}

template <class T>
__global__ void share_among_ties(const T* x, const T* y, const T* dy, T* dx, int64_t outer, int64_t length,
                                 int64_t inner) {
  using A = Acc<T>;
  const Column column(outer, length, inner);
  const A largest = column.exists ? static_cast<A>(y[column.at]) : A(0);
  const auto is_tie = [x, largest](int64_t at) { return same(static_cast<A>(x[at]), largest); };
  const A ties = column.combine<SumOf<A>>([is_tie](int64_t at, int64_t) { return is_tie(at) ? A(1) : A(0); });
  if (!column.exists) return;
  const A share = static_cast<A>(dy[column.at]) / ties;
  for (int64_t l = threadIdx.y; l < length; l += blockDim.y) {
    const int64_t at = column.first + l * inner;
    dx[at] = static_cast<T>(is_tie(at) ? share : A(0));
  }
}

template <class T>
__global__ void first_largest(const T* x, int32_t* y, int64_t rows, int64_t length) {
  using A = Acc<T>;
  const Column row(rows, length, 1);
  const A largest = row.combine<LargestOf<A>>([x](int64_t at, int64_t) { return static_cast<A>(x[at]); });
  const int32_t best = row.combine<SmallestIndex>([x, largest](int64_t at, int64_t l) {
    return same(static_cast<A>(x[at]), largest) ? static_cast<int32_t>(l) : SmallestIndex::nothing();
  });
  if (row.writes()) y[row.at] = best;
}

template <class T>
__global__ void variance_of_rows(const T* x, T* y, int64_t rows, int64_t length, int64_t freedom) {
  using A = Acc<T>;
  const Column row(rows, length, 1);
  const A sum = row.combine<SumOf<A>>([x](int64_t at, int64_t) { return static_cast<A>(x[at]); });
  const A mean = sum / static_cast<A>(length);
  const A squares = row.combine<SumOf<A>>([x, mean](int64_t at, int64_t) {
    const A off = static_cast<A>(x[at]) - mean;
    return off * off;
  });
  if (row.writes()) y[row.at] = static_cast<T>(squares / static_cast<A>(freedom));
}

int64_t power_of_two_from(int64_t n) {
  int64_t power = 1;
  while (power < n) power *= 2;
  return power;
}

constexpr int kMostThreads = 1024;

// (columns, strands, outputs): about four elements a thread, and blocks of whole warps. Where blocks would not fill a card,
// they have fewer columns, but 8, and as many threads as there can be.
dim3 block_for(int64_t outer, int64_t length, int64_t inner) {
  constexpr int64_t kManyBlocks = 256;
  int64_t columns = power_of_two_from(std::min<int64_t>(inner, 32));
  const auto few = [&] { return outer * ((inner + columns - 1) / columns) < kManyBlocks; };
  while (columns > 8 && few()) columns /= 2;
  const int64_t most = (length > 4096 || few() ? kMostThreads : 256) / columns;
  const int64_t strands = power_of_two_from(std::clamp<int64_t>((length + 3) / 4, 1, most));
  const int64_t threads = columns * strands;
  const int64_t outputs = std::min({std::max(power_of_two_from(outer), 32 / threads),
                                    std::max<int64_t>(256 / threads, 1), int64_t{64}});  // CUDA allows 64
  return {static_cast<unsigned>(columns), static_cast<unsigned>(strands), static_cast<unsigned>(outputs)};
}

unsigned blocks_of(dim3 block, int64_t outer, int64_t inner) {
  const int64_t tiles = (inner + block.x - 1) / block.x;
  return static_cast<unsigned>((outer + block.z - 1) / block.z * tiles);
}

template <class T>
void sum_by_strands(cudaStream_t stream, const T* x, T* y, int64_t outer, int64_t length, int64_t inner,
                    double scale) {
  constexpr bool kFloating = !std::is_same_v<T, int32_t>;
  if constexpr (kFloating) {
    const bool whole = packs_are_whole<T>(inner, {x, y}), in_packs = outer == 1 && inner % kPack<T> == 0;
    const auto start = [&]<bool kWhole>() {
      constexpr Body kBody{.replicas = kReplicated<T>};
      if (in_packs && length <= kFewRows && inner >= kPackThreads * kPack<T>) {
        launch_body<sum_few_rows<T, kWhole>, kBody>(blocks_for(inner, kPackThreads * kPack<T>), kPackThreads,
                                                    0, stream, x, y, length, inner, scale);
      } else if (in_packs && length > kFewRows && length <= kRowsOfReplica && AsReplica::current()) {
        launch_body<sum_rows_one_block<T, kWhole>, kBody>(blocks_for(inner, kTilePacks * kPack<T>),
                                                          kTilePacks * kStrandsOfPack, 0, stream, x, y,
                                                          length, inner, scale);
      } else {
        return false;
      }
      return true;
    };
    if (whole ? start.template operator()<true>() : start.template operator()<false>()) return;
  }
  const dim3 block = block_for(outer, length, inner);
  launch_body<reduce_columns<SumOf<Acc<T>>, T>, Body{.replicas = kReplicated<T> && kFloating}>(
      blocks_of(block, outer, inner), block, 0, stream, x, y, outer, length, inner, scale);
}

}  // namespace

template <class T>
void sum(Cuda on, const T* x, T* y, int64_t outer, int64_t length, int64_t inner, double scale) {
  if (outer * inner == 0) return;
  if constexpr (std::is_same_v<T, float> || std::is_same_v<T, bfloat16>) {
    static constexpr void (*kVersions[])(cudaStream_t, const T*, T*, int64_t, int64_t, int64_t, double) = {
        sum_by_strands, ladder::sum_interleaved, ladder::sum_sequential, ladder::sum_shuffles};
    variants.pick(kVersions)(on.stream, x, y, outer, length, inner, scale);
  } else {
    sum_by_strands(on.stream, x, y, outer, length, inner, scale);
  }
}

template <class T>
void max(Cuda on, const T* x, T* y, int64_t outer, int64_t length, int64_t inner) {
  if (outer * inner == 0) return;
  const dim3 block = block_for(outer, length, inner);
  launch_body<reduce_columns<LargestOf<Acc<T>>, T>, Body{.replicas = false}>(
      blocks_of(block, outer, inner), block, 0, on.stream, x, y, outer, length, inner, 1.0);
}

template <class T>
void max_backward(Cuda on, const T* x, const T* y, const T* dy, T* dx, int64_t outer, int64_t length,
                  int64_t inner) {
  if (outer * inner == 0) return;
  const dim3 block = block_for(outer, length, inner);
  launch<share_among_ties<T>>(blocks_of(block, outer, inner), block, 0, on.stream, x, y, dy, dx, outer,
                              length, inner);
}

template <class T>
void argmax(Cuda on, const T* x, int32_t* y, int64_t rows, int64_t length) {
  if (rows == 0) return;
  const dim3 block = block_for(rows, length, 1);
  launch<first_largest<T>>(blocks_of(block, rows, 1), block, 0, on.stream, x, y, rows, length);
}

template <class T>
void variance(Cuda on, const T* x, T* y, int64_t rows, int64_t length, int64_t correction) {
  if (rows == 0) return;
  const dim3 block = block_for(rows, length, 1);
  launch<variance_of_rows<T>>(blocks_of(block, rows, 1), block, 0, on.stream, x, y, rows, length,
                              std::max<int64_t>(0, length - correction));
}

#define GALVAN_NUMBERS(T)                                                   \
  template void sum(Cuda, const T*, T*, int64_t, int64_t, int64_t, double); \
  template void max(Cuda, const T*, T*, int64_t, int64_t, int64_t);         \
  template void argmax(Cuda, const T*, int32_t*, int64_t, int64_t);
GALVAN_NUMBERS(float)
GALVAN_NUMBERS(double)
GALVAN_NUMBERS(bfloat16)
GALVAN_NUMBERS(int32_t)
#define GALVAN_FLOATING(T)                                                                       \
  template void max_backward(Cuda, const T*, const T*, const T*, T*, int64_t, int64_t, int64_t); \
  template void variance(Cuda, const T*, T*, int64_t, int64_t, int64_t);
GALVAN_FLOATING(float)
GALVAN_FLOATING(double)
GALVAN_FLOATING(bfloat16)

}  // namespace galvan
