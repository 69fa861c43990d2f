// Rows and elements picked by index, and the sums back.
//   y[b, t] = weight[index[b, t]] + positions[t]
//   y[o, j, i] = x[o, index[j], i]        dx[o, r, i] = sum over the j with index[j] = r of dy[o, j, i]
// Shapes   x, dx: [outer, rows, inner], y, dy: [outer, picks, inner]
// Memory   embed B T C sizeof(T) bytes and the rows that it picks, 3 B T C asked for. select_rows 2 outer picks
//          inner sizeof(T) bytes; its backward reads dy and writes dx once (adds to it: twice), and reads the
//          index, from L2, once for every 512 bytes of a row's sums and every row, or 16 rows of a long table or a
//          replica's; of rows shorter than a warp once for every warp of their elements. gather n (2 sizeof(T) + 4) bytes,
//          its backward n (3 sizeof(T) + 4); find_bad_index 4 n
// Launch   embed a pack a thread, the others forward an element; backward a block takes those sums, and its warps
//          a part of the picks each, or of short rows a thread an element; the search for a bad index is one block's
// Order    a warp adds in the order of j, a sum is its warps' in their order
#include "core/kernels.h"
#include "cuda/pack.h"
#include "cuda/replicas.h"
#include "cuda/runtime/readback.h"
#include "cuda/warp.h"

namespace galvan {
namespace {

constexpr int kThreads = 256, kSearchThreads = 1024;

// *bad: the first i with index[i] neither `ignored` nor in 0..limit-1, or -1.
__global__ void find_bad_index_one_block(const int32_t* index, int64_t n, int64_t limit, int64_t ignored,
                                         int64_t* bad) {
  int64_t last = INT64_MIN;  // -i of this thread's first: the largest is the first of all
  for (int64_t i = threadIdx.x; i < n && last == INT64_MIN; i += kSearchThreads) {
    const int64_t value = index[i];
    if (value != ignored && (value < 0 || value >= limit)) last = -i;
  }
  last = block_max(last);
  if (threadIdx.x == 0) *bad = last == INT64_MIN ? -1 : -last;
}

template <class T>
__global__ void pick_rows(const T* x, const int32_t* index, T* y, int64_t n, int64_t rows, int64_t picks,
                          int64_t inner) {
  const int64_t at = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (at >= n) return;
  const int64_t i = at % inner, j = at / inner % picks, o = at / inner / picks;
  y[at] = x[(o * rows + index[j]) * inner + i];
}

// A pack of a row a thread.
template <class T, bool kWhole>
__device__ void embed_pack_per_thread(const T* weight, const T* positions, const int32_t* index, T* y,
                                      int64_t rows, int64_t length, int64_t columns) {
  const int64_t packs = (columns + kPack<T> - 1) / kPack<T>;
  const int64_t thread = int64_t{blockIdx.x} * kThreads + threadIdx.x, row = thread / packs;
  if (row >= rows) return;
  const int64_t c = thread % packs * kPack<T>;
  const Wide<T> picked = widened<T>(load_raw<kWhole>(weight + index[row] * columns, c, columns));
  Wide<T> sum = widened<T>(load_raw<kWhole>(positions + row % length * columns, c, columns));
#pragma unroll
  for (int i = 0; i < kPack<T>; ++i) sum.at[i] += picked.at[i];
  store_raw<kWhole>(y + row * columns, c, columns, narrowed<T>(sum));
}

template <class A>
constexpr int kColumns = 512 / sizeof(A);  // of dx, that a block makes: kWidth neighbouring ones a lane

// kRows rows of dx. A warp looks through its part of the index, and adds what it finds to sums of its own.
template <int kRows, int kWarps, class T, bool kWhole>
__device__ void add_picked_rows(const T* dy, const int32_t* index, T* dx, int64_t rows, int64_t picks,
                                int64_t inner, bool accumulate) {
  using A = Acc<T>;
  constexpr int kWidth = kColumns<A> / 32;
  constexpr int kAhead = 4;                 // loads of the index under way at a time,
  constexpr int kRowsAhead = 8;             // and rows of dy
  A* const all_sums = dynamic_shared<A>();  // (kWarps, kRows, kColumns)
  A* const sums = all_sums + warp_id() * kRows * kColumns<A> + lane_id() * kWidth;
  // Counts of blocks, which fit 32 bits.
  const auto tiles = static_cast<unsigned>((inner + kColumns<A> - 1) / kColumns<A>);
  const auto row_groups = static_cast<unsigned>((rows + kRows - 1) / kRows);
  const int64_t begin_column = int64_t{blockIdx.x % tiles} * kColumns<A>, o = blockIdx.x / tiles / row_groups,
                first = int64_t{blockIdx.x / tiles % row_groups} * kRows,
                column = begin_column + lane_id() * kWidth;
#pragma unroll
  for (int row = 0; row < kRows; ++row) pack_at<kWidth>(sums + row * kColumns<A>) = {};

  const int64_t part = (picks + kWarps - 1) / kWarps, begin = warp_id() * part,
                end = begin + part < picks ? begin + part : picks;
  for (int64_t block = begin; block < end; block += 32 * kAhead) {
    int row[kAhead];  // less `first`; -1: none
#pragma unroll
    for (int i = 0; i < kAhead; ++i) {
      const int64_t mine = block + 32 * i + lane_id();
      row[i] = mine < end ? static_cast<int>(index[mine] - first) : -1;
    }
#pragma unroll
    for (int i = 0; i < kAhead; ++i) {
      unsigned found = __ballot_sync(kAllLanes, row[i] >= 0 && row[i] < kRows);
      while (found != 0) {
        int to[kRowsAhead];
        Pack<T, kWidth> values[kRowsAhead];
#pragma unroll
        for (int n = 0; n < kRowsAhead; ++n) {
          const int lane = __ffs(static_cast<int>(found)) - 1;  // -1: no more of them
          found &= found - 1;
          to[n] = __shfl_sync(kAllLanes, row[i], lane < 0 ? 0 : lane);
          if (lane < 0) to[n] = -1;
          const T* const from = dy + (o * picks + block + 32 * i + lane) * inner + column;
          values[n] = {};
          if (to[n] < 0) continue;
          if constexpr (kWhole) {
            if (column < inner) values[n] = pack_at<kWidth>(from);
          } else {
#pragma unroll
            for (int w = 0; w < kWidth; ++w)
              if (column + w < inner) values[n].at[w] = from[w];
          }
        }
#pragma unroll
        for (int n = 0; n < kRowsAhead; ++n) {
          if (to[n] < 0) continue;
          auto& sum = pack_at<kWidth>(sums + to[n] * kColumns<A>);
#pragma unroll
          for (int w = 0; w < kWidth; ++w) sum.at[w] += static_cast<A>(values[n].at[w]);
        }
      }
    }
  }
  __syncthreads();  // every warp's sums are there before they are added
  for (int i = static_cast<int>(threadIdx.x); i < kRows * kColumns<A>; i += kWarps * 32) {
    const int64_t row = first + i / kColumns<A>, to_column = begin_column + i % kColumns<A>;
    if (row >= rows || to_column >= inner) continue;
    A sum = 0;
    for (int warp = 0; warp < kWarps; ++warp) sum += all_sums[warp * kRows * kColumns<A> + i];
    T& to = dx[(o * rows + row) * inner + to_column];
    to = static_cast<T>(accumulate ? sum + static_cast<A>(to) : sum);
  }
}

// An element of dx a thread, which goes through the index: for rows that are shorter than a warp.
template <class T>
__device__ void add_picks_thread_per_element(const T* dy, const int32_t* index, T* dx, int64_t n,
                                             int64_t rows, int64_t picks, int64_t inner, bool accumulate) {
  using A = Acc<T>;
  const int64_t at = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (at >= n) return;
  const int64_t i = at % inner, row = at / inner % rows, o = at / inner / rows;
  A sum = accumulate ? static_cast<A>(dx[at]) : A(0);
  for (int64_t j = 0; j < picks; ++j)
    if (index[j] == row) sum += static_cast<A>(dy[(o * picks + j) * inner + i]);
  dx[at] = static_cast<T>(sum);
}

// Sizes and strides of the lines along `dim`: all the other dimensions, in `shape` and in a strided tensor.
struct Lines {
  int64_t count = 1, length, step, other_step;
  int rank = 0;
  int64_t sizes[kMaxRank], dense[kMaxRank], other[kMaxRank];

  Lines(const Shape& shape, const Strides& strides, int dim) {
    const Strides of_shape = contiguous_strides(shape);
    length = shape[dim], step = of_shape[dim], other_step = strides[dim];
    for (int d = shape.rank() - 1; d >= 0; --d) {
      if (d == dim) continue;
      sizes[rank] = shape[d], dense[rank] = of_shape[d], other[rank] = strides[d];
      count *= shape[d];
      ++rank;
    }
  }

  __device__ void locate(int64_t line, int64_t* at, int64_t* at_other) const {
    *at = *at_other = 0;
    for (int d = 0; d < rank; ++d) {
      const int64_t coordinate = line % sizes[d];
      line /= sizes[d];
      *at += coordinate * dense[d];
      *at_other += coordinate * other[d];
    }
  }
};

template <class T>
__global__ void pick_elements(Lines lines, const T* x, const int32_t* index, T* y) {
  const int64_t thread = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (thread >= lines.count * lines.length) return;
  int64_t at, from;
  lines.locate(thread % lines.count, &at, &from);
  at += thread / lines.count * lines.step;
  y[at] = x[from + index[at] * lines.other_step];
}

template <class T>
__global__ void add_picked_elements(Lines lines, const T* dy, const int32_t* index, T* dx) {
  const int64_t line = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (line >= lines.count) return;
  int64_t at, to;
  lines.locate(line, &at, &to);
  for (int64_t j = 0; j < lines.length; ++j, at += lines.step) {
    T& sum = dx[to + index[at] * lines.other_step];
    sum = static_cast<T>(static_cast<Acc<T>>(sum) + static_cast<Acc<T>>(dy[at]));
  }
}

}  // namespace

int64_t find_bad_index(Cuda on, const int32_t* index, int64_t n, int64_t limit, int64_t ignored) {
  if (n == 0) return -1;
  thread_local const Readback<int64_t> bad(1);
  launch<find_bad_index_one_block>(1, kSearchThreads, 0, on.stream, index, n, limit, ignored, bad.device());
  return *bad.read(on.stream, 1);
}

template <class T>
void embed(Cuda on, const T* weight, const T* positions, const int32_t* index, T* y, int64_t batch,
           int64_t length, int64_t columns) {
  const int64_t rows = batch * length, packs = (columns + kPack<T> - 1) / kPack<T>;
  if (rows * packs == 0) return;
  const unsigned blocks = blocks_for(rows * packs, kThreads);
  if (packs_are_whole<T>(columns, {weight, positions, y})) {
    launch_body<embed_pack_per_thread<T, true>, Body{.replicas = kReplicated<T>}>(
        blocks, kThreads, 0, on.stream, weight, positions, index, y, rows, length, columns);
  } else {
    launch_body<embed_pack_per_thread<T, false>, Body{.replicas = kReplicated<T>}>(
        blocks, kThreads, 0, on.stream, weight, positions, index, y, rows, length, columns);
  }
}

template <class T>
void select_rows(Cuda on, const T* x, const int32_t* index, T* y, int64_t outer, int64_t rows, int64_t picks,
                 int64_t inner) {
  const int64_t n = outer * picks * inner;
  if (n == 0) return;
  launch<pick_rows<T>>(blocks_for(n, kThreads), kThreads, 0, on.stream, x, index, y, n, rows, picks, inner);
}

template <class T>
void select_rows_backward(Cuda on, const T* dy, const int32_t* index, T* dx, int64_t outer, int64_t rows,
                          int64_t picks, int64_t inner, bool accumulate) {
  if (inner < 32 && picks <= 4096) {
    const int64_t n = outer * rows * inner;
    if (n == 0) return;
    launch_body<add_picks_thread_per_element<T>, Body{.replicas = kReplicated<T>}>(
        blocks_for(n, kThreads), kThreads, 0, on.stream, dy, index, dx, n, rows, picks, inner, accumulate);
    return;
  }
  const auto add = [&]<int kRows, int kWarps>() {
    constexpr int kTile = kColumns<Acc<T>>, kWidth = kTile / 32;
    const int64_t blocks = outer * ((rows + kRows - 1) / kRows) * ((inner + kTile - 1) / kTile);
    if (blocks == 0) return;
    const bool whole = inner % kWidth == 0 && reinterpret_cast<uintptr_t>(dy) % (kWidth * sizeof(T)) == 0;
    const auto start = [&]<bool kWhole>() {
      launch_body<add_picked_rows<kRows, kWarps, T, kWhole>, Body{.replicas = kReplicated<T>}>(
          static_cast<unsigned>(blocks), kWarps * 32, sizeof(Acc<T>) * kWarps * kRows * kTile, on.stream, dy,
          index, dx, rows, picks, inner, accumulate);
    };
    whole ? start.template operator()<true>() : start.template operator()<false>();
  };
  // A row a block finds many picks of a short table's; a long one's picks are too far apart to look for each, and where
  // replicas fill the card there are blocks enough without.
  if (rows > 1024 || AsReplica::current()) {
    add.template operator()<16, 8>();
  } else if (picks > 4096) {
    add.template operator()<1, 16>();
  } else {
    add.template operator()<1, 4>();
  }
}

template <class T>
void gather(Cuda on, const T* x, const Strides& x_strides, const int32_t* index, T* y, const Shape& shape,
            int dim) {
  if (shape.numel() == 0) return;
  launch<pick_elements<T>>(blocks_for(shape.numel(), kThreads), kThreads, 0, on.stream,
                           Lines(shape, x_strides, dim), x, index, y);
}

template <class T>
void gather_backward(Cuda on, const T* dy, const int32_t* index, T* dx, const Strides& dx_strides,
                     const Shape& shape, int dim) {
  if (shape.numel() == 0) return;
  const Lines lines(shape, dx_strides, dim);
  launch<add_picked_elements<T>>(blocks_for(lines.count, kThreads), kThreads, 0, on.stream, lines, dy, index,
                                 dx);
}

#define GALVAN_PICK(T)                                                                               \
  template void select_rows(Cuda, const T*, const int32_t*, T*, int64_t, int64_t, int64_t, int64_t); \
  template void gather(Cuda, const T*, const Strides&, const int32_t*, T*, const Shape&, int);
#define GALVAN_PICK_BACKWARD(T)                                                                              \
  template void select_rows_backward(Cuda, const T*, const int32_t*, T*, int64_t, int64_t, int64_t, int64_t, \
                                     bool);                                                                  \
  template void embed(Cuda, const T*, const T*, const int32_t*, T*, int64_t, int64_t, int64_t);              \
  template void gather_backward(Cuda, const T*, const int32_t*, T*, const Strides&, const Shape&, int);
GALVAN_PICK(float)
GALVAN_PICK(double)
GALVAN_PICK(bfloat16)
GALVAN_PICK(int32_t)
GALVAN_PICK(bool)
GALVAN_PICK_BACKWARD(float)
GALVAN_PICK_BACKWARD(double)
GALVAN_PICK_BACKWARD(bfloat16)

}  // namespace galvan
