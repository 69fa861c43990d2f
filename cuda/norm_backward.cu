// Gradients of layer norm and RMS norm (norm_forward.cu), xhat = (s - mean) rstd.
//   With g = dy weight:  ds = rstd (g - sum_c g / C - xhat sum_c (g xhat) / C) + dsum  RMS: without sum_c g
//                        dweight = sum_r dy xhat,  dbias = sum_r dy
// Shapes   s, dy, dsum, dx [R, C]; weight, dweight, dbias [C]; mean, rstd [R] in Acc<T>
// Memory   3 R C sizeof(T) bytes, 4 with dsum, and 2 more for dweight and dbias, but where one launch makes all. Asked
//          for, the rest from L1: dx 4 R C, 5 with dsum, of rows longer than kMostInRegisters 7 and 8; dweight and dbias
//          2. Where one launch makes all: 3, 4 with dsum, and weight once for every warp
// Compute  about 15 R C FLOPs: bandwidth-bound, judge it in GB/s
// Launch   all at once: a row a group of lanes (row_groups.h), rows to blocks as in column_sums.h, but for one tile of all
//          columns; of few rows the last block sums what the blocks have summed (last_block.h). Of rows longer than
//          kMostAtOnce, of many rows kMostOfMany, dx by itself, and dweight and dbias as in column_sums.h
#include "cuda/column_sums.h"
#include "cuda/last_block.h"
#include "cuda/replicas.h"
#include "cuda/row_groups.h"
#include "cuda/runtime/workspace.h"

namespace galvan {
namespace {

// What a group of lanes knows of a row.
template <class T, bool kWhole, int kLanes, int kOwn>
struct GradientOfRow {
  using A = Acc<T>;
  using Row = RowOfGroup<T, kWhole, kLanes, kOwn>;
  Row row;
  Raw<T> s[Row::kPacks], dy[Row::kPacks], dsum[Row::kPacks];
  A mean = 0, rstd = 0;

  __device__ GradientOfRow(const NormBackward<T>& p, int64_t r, bool exists)
      : row{static_cast<int>(p.columns), exists} {
    row.load(p.s + r * p.columns, s);
    row.load(p.dy + r * p.columns, dy);
    if (p.dx && p.dsum) row.load(p.dsum + r * p.columns, dsum);
    if (!exists) return;
    if (p.mean) mean = p.mean[r];
    rstd = p.rstd[r];
  }

  __device__ Wide<T> xhat(int i) const {
    Wide<T> x = widened<T>(s[i]);
#pragma unroll
    for (int e = 0; e < Row::kSize; ++e) x.at[e] = (x.at[e] - mean) * rstd;
    return x;
  }

  // All lanes of the warp come. weight(i): of the lane's pack i.
  template <class Weight>
  __device__ void write_dx(const NormBackward<T>& p, int64_t r, const Weight& weight) const {
    Wide<T> g[Row::kPacks];  // 0 beyond the row
    A along = 0, level = 0;
#pragma unroll
    for (int i = 0; i < Row::kPacks; ++i) {
      const Wide<T> x = xhat(i), of_pack = weight(i);
      g[i] = widened<T>(dy[i]);
#pragma unroll
      for (int e = 0; e < Row::kSize; ++e) {
        g[i].at[e] *= of_pack.at[e];
        along += g[i].at[e] * x.at[e];
        level += g[i].at[e];
      }
    }
    const A scale = A(1) / A(p.columns);
    along = group_sum<kLanes>(along) * scale;
    level = p.mean ? group_sum<kLanes>(level) * scale : A(0);
#pragma unroll
    for (int i = 0; i < Row::kPacks; ++i) {
      if (!row.has(i)) continue;
      const Wide<T> x = xhat(i);
      Wide<T> dx{};
      if (p.dsum) dx = widened<T>(dsum[i]);
#pragma unroll
      for (int e = 0; e < Row::kSize; ++e) dx.at[e] += (g[i].at[e] - level - x.at[e] * along) * rstd;
      row.store(p.dx + r * p.columns, i, narrowed<T>(dx));
    }
  }
};

// All of it; `shared` (kColumnWarps, 2, C) takes each warp's sums of dy xhat and of dy. Without counters the partial sums
// are left to another launch.
template <class T>
constexpr size_t kSharedOfColumn = sizeof(Acc<T>) * kColumnWarps * 2;
template <class T>
constexpr int64_t kMostAtOnce = 2048 / sizeof(Acc<T>);  // columns, whose sums have room in registers
constexpr int64_t kMostOfMany = 128;  // of many rows, whose blocks have to fit a multiprocessor
constexpr int64_t kFewRows = 2048;    // of which there are 64 partial sums at most
// Of few short rows of replicas: four a group, since what a block does with its sums takes as long as several rows.
constexpr int kRowsOfBlock = 64;

template <class T, bool kWhole, int kLanes, int kOwn>
__device__ void norm_backward_rows_and_columns(NormBackward<T> p, Acc<T>* dweights, Acc<T>* dbiases,
                                               unsigned* counters) {
  using A = Acc<T>;
  using Row = RowOfGroup<T, kWhole, kLanes, kOwn>;
  constexpr int kSize = kPack<T>;
  const int columns = static_cast<int>(p.columns);
  Wide<T> weight[Row::kPacks];
#pragma unroll
  for (int i = 0; i < Row::kPacks; ++i) weight[i] = Row{columns, true}.parameter(p.weight, 1, i);
  A dweight[kOwn] = {}, dbias[kOwn] = {};
  const RowRange range = rows_of_warp(p.rows, Row::kGroupsOfWarp);
  for (int64_t first = range.first; first < range.end; first += kColumnWarps * Row::kGroupsOfWarp) {
    const int64_t r = first + lane_id() / kLanes;
    const GradientOfRow<T, kWhole, kLanes, kOwn> at(p, r, r < range.end);
    if (p.dx) at.write_dx(p, r, [&](int i) -> const Wide<T>& { return weight[i]; });
#pragma unroll
    for (int i = 0; i < Row::kPacks; ++i) {
      const Wide<T> x = at.xhat(i), dy = widened<T>(at.dy[i]);
#pragma unroll
      for (int e = 0; e < kSize; ++e) {
        dweight[i * kSize + e] += dy.at[e] * x.at[e];
        dbias[i * kSize + e] += dy.at[e];
      }
    }
  }

  A* const of_warps = dynamic_shared<A>();
  A *const own_dweight = of_warps + warp_id() * 2 * columns, *const own_dbias = own_dweight + columns;
  const Row row{columns, lane_id() < kLanes};
#pragma unroll
  for (int i = 0; i < kOwn; ++i) {
#pragma unroll
    for (int flip = kLanes; flip < 32; flip *= 2) {  // over the warp's groups
      dweight[i] += __shfl_xor_sync(kAllLanes, dweight[i], flip);
      dbias[i] += __shfl_xor_sync(kAllLanes, dbias[i], flip);
    }
    const int c = row.column(i / kSize) + i % kSize;
    if (row.exists && c < columns) own_dweight[c] = dweight[i], own_dbias[c] = dbias[i];
  }

  A* const partial = dweights ? dweights : dbiases;  // of both, if both are wanted: (2, blocks, C)
  const int skip = dweights ? 0 : columns, end = dbiases ? 2 * columns : columns;
  const auto place = [&](int i, unsigned block) -> A& {
    return partial[(int64_t{(i - skip) / columns} * gridDim.y + block) * columns + i % columns];
  };
  __syncthreads();  // every warp's sums are there before they are added
  for (int i = skip + static_cast<int>(threadIdx.x); i < end; i += kColumnWarps * 32) {
    A sum = 0;
    for (int warp = 0; warp < kColumnWarps; ++warp) sum += of_warps[warp * 2 * columns + i];
    place(i, blockIdx.y) = sum;
  }
  if (!counters || !comes_last(counters)) return;
  for (int i = skip + static_cast<int>(threadIdx.x); i < end; i += kColumnWarps * 32) {
    const A sum = sum_of_blocks(&place(i, 0), gridDim.y, columns);
    (i < columns ? p.dweight[i] : p.dbias[i - columns]) = T(sum);
  }
}

// --- dx by itself ---

constexpr int kThreads = 128;

template <class T, bool kWhole, int kLanes, int kOwn>
__device__ void norm_backward_rows(NormBackward<T> p) {
  const int64_t r = int64_t{blockIdx.x} * (kThreads / kLanes) + threadIdx.x / kLanes;
  const GradientOfRow<T, kWhole, kLanes, kOwn> at(p, r, r < p.rows);
  at.write_dx(p, r, [&](int i) { return at.row.parameter(p.weight, 1, i); });
}

// g and xhat of the pack at column c of a row; both 0 beyond its end.
template <bool kWhole, class T>
struct PackGradient {
  Pack<Acc<T>, kPack<T>> g, xhat;

  __device__ PackGradient(const NormBackward<T>& p, int64_t start, int64_t c, Acc<T> mean, Acc<T> rstd) {
    using A = Acc<T>;
    const auto s = load_pack<kWhole>(p.s + start, c, p.columns);
    const auto dy = load_pack<kWhole>(p.dy + start, c, p.columns);
#pragma unroll
    for (int i = 0; i < kPack<T>; ++i) {
      xhat.at[i] = kWhole || c + i < p.columns ? (A(s.at[i]) - mean) * rstd : A(0);
      g.at[i] = A(dy.at[i]);
    }
    if (!p.weight) return;
    const auto weight = load_pack<kWhole>(p.weight, c, p.columns);
#pragma unroll
    for (int i = 0; i < kPack<T>; ++i) g.at[i] *= A(weight.at[i]);
  }
};

template <class T, bool kWhole>
__device__ void norm_backward_warp_per_long_row(NormBackward<T> p) {
  const int64_t row = int64_t{blockIdx.x} * (kThreads / 32) + warp_id();
  if (row >= p.rows) return;
  using A = Acc<T>;
  constexpr int kSize = kPack<T>, kStep = 32 * kSize;
  const int64_t columns = p.columns, start = row * columns, first = lane_id() * kSize;
  const A mean = p.mean ? p.mean[row] : A(0), rstd = p.rstd[row];

  A along = 0, level = 0;
  for (int64_t c = first; c < columns; c += kStep) {
    const PackGradient<kWhole, T> at(p, start, c, mean, rstd);
#pragma unroll
    for (int i = 0; i < kSize; ++i) {
      along += at.g.at[i] * at.xhat.at[i];
      level += at.g.at[i];
    }
  }
  const A scale = A(1) / A(columns);
  along = warp_sum(along) * scale;
  level = p.mean ? warp_sum(level) * scale : A(0);

  for (int64_t c = first; c < columns; c += kStep) {
    const PackGradient<kWhole, T> at(p, start, c, mean, rstd);
    A ds[kSize];
#pragma unroll
    for (int i = 0; i < kSize; ++i) ds[i] = (at.g.at[i] - level - at.xhat.at[i] * along) * rstd;
    if (p.dsum) {
      const auto dsum = load_pack<kWhole>(p.dsum + start, c, columns);
#pragma unroll
      for (int i = 0; i < kSize; ++i) ds[i] += A(dsum.at[i]);
    }
    Pack<T> dx;
#pragma unroll
    for (int i = 0; i < kSize; ++i) dx.at[i] = T(ds[i]);
    store_pack<kWhole>(p.dx + start, c, columns, dx);
  }
}

// --- dweight and dbias by themselves ---

// partial sums of dy xhat and of dy over the block's rows.
template <class T, bool kWhole>
__device__ void norm_backward_columns(NormBackward<T> p, Acc<T>* dweights, Acc<T>* dbiases) {
  using A = Acc<T>;
  constexpr int kSize = kPack<T>;
  const int64_t c = column_of_thread<T>(), columns = p.columns;
  const RowRange range = rows_of_warp(p.rows);
  Pack<A, kSize> dweight{}, dbias{};
  if (c < columns) {
#pragma unroll 4  // so many rows are read at once
    for (int64_t row = range.first; row < range.end; row += kColumnWarps) {
      const auto s = load_pack<kWhole>(p.s + row * columns, c, columns);
      const auto dy = load_pack<kWhole>(p.dy + row * columns, c, columns);
      const A mean = p.mean ? p.mean[row] : A(0), rstd = p.rstd[row];
#pragma unroll
      for (int i = 0; i < kSize; ++i) {
        dweight.at[i] += A(dy.at[i]) * ((A(s.at[i]) - mean) * rstd);
        dbias.at[i] += A(dy.at[i]);
      }
    }
  }
  if (dweights) store_column_sums(dweight, dweights, columns);
  if (dbiases) store_column_sums(dbias, dbiases, columns);
}

// Calls run.operator()<kWhole>().
template <class Run>
void as_whole(bool whole, const Run& run) {
  whole ? run.template operator()<true>() : run.template operator()<false>();
}

}  // namespace

template <class T>
void norm_backward(Cuda on, const NormBackward<T>& p) {
  if (p.columns == 0) return;
  constexpr Body kBody{.replicas = kReplicated<T>};
  const bool whole = packs_are_whole<T>(p.columns, {p.dsum, p.dy, p.s, p.weight, p.dx});
  Acc<T>* const dweights = p.dweight ? p.partial : nullptr;
  Acc<T>* const dbiases = p.dbias ? p.partial + (p.dweight ? row_blocks(p.rows) * p.columns : 0) : nullptr;
  const auto add_partial_sums = [&] {
    dweights ? add_row_blocks(on, dweights, p.rows, p.columns, p.dweight, p.dbias)
             : add_row_blocks(on, dbiases, p.rows, p.columns, p.dbias);
  };
  const size_t shared = kSharedOfColumn<T> * static_cast<size_t>(p.columns);
  const bool few = p.rows <= kFewRows;
  if ((dweights || dbiases) && p.rows > 0 && p.columns <= (few ? kMostAtOnce<T> : kMostOfMany)) {
    unsigned* const counters = few ? workspace_of(on.stream).counters : nullptr;
    const bool is_short = p.columns <= kMostOfMany;
    const dim3 grid(1, few && is_short && AsReplica::current() ? blocks_for(p.rows, kRowsOfBlock)
                                                               : static_cast<unsigned>(row_blocks(p.rows)));
    const auto start = [&]<int kLanes, int kOwn>() {
      as_whole(whole, [&]<bool kWhole>() {
        // Of so many blocks a multiprocessor has the registers.
        constexpr int kBlocks = std::is_same_v<T, double> || kOwn > 8 ? 1 : kWhole ? 3 : 2;
        launch_body<norm_backward_rows_and_columns<T, kWhole, kLanes, kOwn>,
                    Body{.threads = kColumnWarps * 32, .blocks = kBlocks, .replicas = kReplicated<T>}>(
            grid, kColumnWarps * 32, shared, on.stream, p, dweights, dbiases, counters);
      });
    };
    is_short ? start.template operator()<16, 8>() : start.template operator()<32, 16>();
    if (!counters) add_partial_sums();
    return;
  }
  if (p.dx && p.rows > 0) {
    if (p.columns <= kMostInRegisters) {
      for_row_groups(p.columns, [&]<int kLanes, int kOwn>() {
        as_whole(whole, [&]<bool kWhole>() {
          launch_body<norm_backward_rows<T, kWhole, kLanes, kOwn>, kBody>(
              blocks_for(p.rows, kThreads / kLanes), kThreads, 0, on.stream, p);
        });
      });
    } else {
      as_whole(whole, [&]<bool kWhole>() {
        launch_body<norm_backward_warp_per_long_row<T, kWhole>, kBody>(blocks_for(p.rows, kThreads / 32),
                                                                       kThreads, 0, on.stream, p);
      });
    }
  }
  if (!dweights && !dbiases) return;
  if (p.rows > 0)
    as_whole(whole, [&]<bool kWhole>() {
      launch_body<norm_backward_columns<T, kWhole>, kBody>(
          column_grid<T>(p.rows, p.columns), kColumnWarps * 32, 0, on.stream, p, dweights, dbiases);
    });
  add_partial_sums();
}
template void norm_backward(Cuda, const NormBackward<float>&);
template void norm_backward(Cuda, const NormBackward<double>&);
template void norm_backward(Cuda, const NormBackward<bfloat16>&);

}  // namespace galvan
