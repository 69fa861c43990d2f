// Layer norm and RMS norm over the last dimension, with a residual added on the way where one is given.
//   s = x + residual          xhat = (s - mean) rstd          y = xhat weight + bias
//   layer: mean = sum_c s / C,  rstd = 1 / sqrt(sum_c (s - mean)^2 / C + eps)      two passes over a row
//   RMS:   mean = 0             so the same formulas hold
//   With g = dy weight:  ds = rstd (g - sum_c g / C - xhat sum_c (g xhat) / C) + dsum  RMS: without sum_c g
//                        dweight = sum_r dy xhat,  dbias = sum_r dy
// Shapes   x, residual, s, y and their gradients [R, C]; weight, bias [C]; mean, rstd [R] in Acc<T>
// Memory   forward 2 R C sizeof(T) bytes, 4 with a residual; backward 3 R C, 4 with dsum, and 2 more for
//          dweight and dbias, but where one launch makes all. Asked for, the rest from L1: forward 6 R C with
//          weight and bias (RMS norm 5), 9 with a residual; dx 7, 8 with dsum; dweight and dbias 2
// Compute  about 8 R C FLOPs forward, 15 backward: bandwidth-bound, judge it in GB/s
// Ladder   cuda/ladder/README.md: forward, this is the second rung of three
// Launch   y and dx: one row a warp, four warps a block; dweight, dbias: column_sums.h. Of few rows of few columns dx,
//          dweight and dbias together, and the last block sums what the blocks have summed (last_block.h)
#include <cmath>

#include "core/variants.h"
#include "cuda/column_sums.h"
#include "cuda/ladder/layer_norm.h"
#include "cuda/last_block.h"
#include "cuda/replicas.h"
#include "cuda/runtime/workspace.h"
#include "cuda/warp.h"

namespace galvan {
namespace {

Variants variants("layer_norm", "cuda",
                  {{"packs", "cuda/norm.cu"},
                   {"elements", "cuda/ladder/layer_norm_1_elements.cu"},
                   {"in_registers", "cuda/ladder/layer_norm_3_in_registers.cu"}});

constexpr int kWarps = 4;

__device__ inline int64_t row_of_warp() { return int64_t{blockIdx.x} * kWarps + warp_id(); }

template <class T, bool kWhole>
__device__ void norm_forward_warp_per_row(NormForward<T> p) {
  using A = Acc<T>;
  constexpr int kSize = kPack<T>, kStep = 32 * kSize;
  const int64_t row = row_of_warp(), columns = p.columns;
  if (row >= p.rows) return;
  const int64_t start = row * columns, first = lane_id() * kSize;

  const T* s = p.x + start;
  if (p.residual) {
    s = p.sum + start;
    for (int64_t c = first; c < columns; c += kStep) {
      const auto x = load_pack<kWhole>(p.x + start, c, columns);
      const auto residual = load_pack<kWhole>(p.residual + start, c, columns);
      Pack<T> sum;
#pragma unroll
      for (int i = 0; i < kSize; ++i) sum.at[i] = T(A(x.at[i]) + A(residual.at[i]));
      store_pack<kWhole>(p.sum + start, c, columns, sum);
    }
  }

  const A scale = A(1) / A(columns);
  A mean = 0;
  if (p.mean) {
    for (int64_t c = first; c < columns; c += kStep) {
      const auto values = load_pack<kWhole>(s, c, columns);
#pragma unroll
      for (int i = 0; i < kSize; ++i) mean += A(values.at[i]);
    }
    mean = warp_sum(mean) * scale;
  }
  A squares = 0;
  for (int64_t c = first; c < columns; c += kStep) {
    const auto values = load_pack<kWhole>(s, c, columns);
#pragma unroll
    for (int i = 0; i < kSize; ++i) {
      const A d = kWhole || c + i < columns ? A(values.at[i]) - mean : A(0);
      squares += d * d;
    }
  }
  const A rstd = A(1) / std::sqrt(warp_sum(squares) * scale + A(p.eps));

  for (int64_t c = first; c < columns; c += kStep) {
    const auto values = load_pack<kWhole>(s, c, columns);
    A out[kSize];
#pragma unroll
    for (int i = 0; i < kSize; ++i) out[i] = (A(values.at[i]) - mean) * rstd;
    if (p.weight) {
      const auto weight = load_pack<kWhole>(p.weight, c, columns);
#pragma unroll
      for (int i = 0; i < kSize; ++i) out[i] *= A(weight.at[i]);
    }
    if (p.bias) {
      const auto bias = load_pack<kWhole>(p.bias, c, columns);
#pragma unroll
      for (int i = 0; i < kSize; ++i) out[i] += A(bias.at[i]);
    }
    Pack<T> y;
#pragma unroll
    for (int i = 0; i < kSize; ++i) y.at[i] = T(out[i]);
    store_pack<kWhole>(p.y + start, c, columns, y);
  }
  if (lane_id() == 0) {
    if (p.mean) p.mean[row] = mean;
    p.rstd[row] = rstd;
  }
}

// g and xhat of the pack at column c of a row; both 0 beyond its end.
template <bool kWhole, class T>
struct RowGradient {
  Pack<Acc<T>, kPack<T>> g, xhat;

  __device__ RowGradient(const NormBackward<T>& p, int64_t start, int64_t c, Acc<T> mean, Acc<T> rstd) {
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

// dx of a row, by a warp.
template <bool kWhole, class T>
__device__ inline void gradient_of_row(const NormBackward<T>& p, int64_t row) {
  using A = Acc<T>;
  constexpr int kSize = kPack<T>, kStep = 32 * kSize;
  const int64_t columns = p.columns, start = row * columns, first = lane_id() * kSize;
  const A mean = p.mean ? p.mean[row] : A(0), rstd = p.rstd[row];

  A along = 0, level = 0;
  for (int64_t c = first; c < columns; c += kStep) {
    const RowGradient<kWhole, T> at(p, start, c, mean, rstd);
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
    const RowGradient<kWhole, T> at(p, start, c, mean, rstd);
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

template <class T, bool kWhole>
__device__ void norm_backward_warp_per_row(NormBackward<T> p) {
  const int64_t row = row_of_warp();
  if (row < p.rows) gradient_of_row<kWhole>(p, row);
}

// All of it in one launch, for few rows of few columns. Blocks are those of column_sums.h, but for one tile of all
// columns; `shared` (kColumnWarps, 2, C) holds each warp's sums of dy xhat and of dy.
template <class T>
constexpr size_t kSharedOfColumn = sizeof(Acc<T>) * kColumnWarps * 2;
constexpr int64_t kFewRows = 2048;  // of which a warp of the 64 blocks goes through four
constexpr size_t kSharedWithoutAsking =
    48 * 1024;  // what a launch may have without more ado, comes_last's flag included

template <class T, bool kWhole>
__device__ void norm_backward_rows_and_columns(NormBackward<T> p, Acc<T>* dweights, Acc<T>* dbiases,
                                               unsigned* counters) {
  using A = Acc<T>;
  constexpr int kSize = kPack<T>, kStep = 32 * kSize;
  const int columns = static_cast<int>(p.columns);
  A* const of_warps = dynamic_shared<A>();
  A *const dweight = of_warps + warp_id() * 2 * columns, *const dbias = dweight + columns;
  for (int c = lane_id() * kSize; c < columns; c += kStep)  // a lane comes to these columns alone
    for (int i = c; i < c + kSize && i < columns; ++i) dweight[i] = dbias[i] = 0;

  const RowRange range = rows_of_warp(p.rows);
  for (int64_t row = range.first; row < range.end; row += kColumnWarps) {
    if (p.dx) gradient_of_row<kWhole>(p, row);
    const A mean = p.mean ? p.mean[row] : A(0), rstd = p.rstd[row];
    for (int c = lane_id() * kSize; c < columns; c += kStep) {
      const auto s = load_pack<kWhole>(p.s + row * columns, c, columns);
      const auto dy = load_pack<kWhole>(p.dy + row * columns, c, columns);
#pragma unroll
      for (int i = 0; i < kSize; ++i) {
        if (!kWhole && c + i >= columns) continue;
        dweight[c + i] += A(dy.at[i]) * ((A(s.at[i]) - mean) * rstd);
        dbias[c + i] += A(dy.at[i]);
      }
    }
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
  if (!comes_last(counters)) return;
  for (int i = skip + static_cast<int>(threadIdx.x); i < end; i += kColumnWarps * 32) {
    const A sum = sum_of_blocks(&place(i, 0), gridDim.y, columns);
    (i < columns ? p.dweight[i] : p.dbias[i - columns]) = T(sum);
  }
}

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

template <class T>
void norm_forward_by_packs(cudaStream_t stream, const NormForward<T>& p) {
  const bool whole = packs_are_whole<T>(p.columns, {p.x, p.residual, p.weight, p.bias, p.sum, p.y});
  const unsigned blocks = blocks_for(p.rows, kWarps);
  if (whole) {
    launch_body<norm_forward_warp_per_row<T, true>, Body{.replicas = kReplicated<T>}>(blocks, kWarps * 32, 0,
                                                                                      stream, p);
  } else {
    launch_body<norm_forward_warp_per_row<T, false>, Body{.replicas = kReplicated<T>}>(blocks, kWarps * 32, 0,
                                                                                       stream, p);
  }
}

template <class T>
void norm_forward_in_registers(cudaStream_t stream, const NormForward<T>& p) {
  p.columns <= ladder::kMostInRegisters ? ladder::layer_norm_in_registers(stream, p)
                                        : norm_forward_by_packs(stream, p);
}

}  // namespace

template <class T>
void norm_forward(Cuda on, const NormForward<T>& p) {
  if (p.rows == 0) return;
  if constexpr (std::is_same_v<T, double>) {
    norm_forward_by_packs(on.stream, p);
  } else {
    static constexpr void (*kVersions[])(cudaStream_t, const NormForward<T>&) = {
        norm_forward_by_packs, ladder::layer_norm_elements, norm_forward_in_registers};
    variants.pick(kVersions)(on.stream, p);
  }
}

template <class T>
void norm_backward(Cuda on, const NormBackward<T>& p) {
  if (p.columns == 0) return;
  const bool whole = packs_are_whole<T>(p.columns, {p.dsum, p.dy, p.s, p.weight, p.dx});
  Acc<T>* const dweights = p.dweight ? p.partial : nullptr;
  Acc<T>* const dbiases = p.dbias ? p.partial + (p.dweight ? row_blocks(p.rows) * p.columns : 0) : nullptr;
  const size_t shared = kSharedOfColumn<T> * static_cast<size_t>(p.columns);
  if ((dweights || dbiases) && p.rows > 0 && p.rows <= kFewRows && shared < kSharedWithoutAsking) {
    const auto start = [&]<bool kWhole>() {
      launch_body<norm_backward_rows_and_columns<T, kWhole>, Body{.replicas = kReplicated<T>}>(
          dim3(1, static_cast<unsigned>(row_blocks(p.rows))), kColumnWarps * 32, shared, on.stream, p,
          dweights, dbiases, workspace_of(on.stream).counters);
    };
    return whole ? start.template operator()<true>() : start.template operator()<false>();
  }
  if (p.dx && p.rows > 0) {
    const unsigned blocks = blocks_for(p.rows, kWarps);
    if (whole) {
      launch_body<norm_backward_warp_per_row<T, true>, Body{.replicas = kReplicated<T>}>(blocks, kWarps * 32,
                                                                                         0, on.stream, p);
    } else {
      launch_body<norm_backward_warp_per_row<T, false>, Body{.replicas = kReplicated<T>}>(blocks, kWarps * 32,
                                                                                          0, on.stream, p);
    }
  }
  if (!dweights && !dbiases) return;
  if (p.rows > 0) {
    const dim3 grid = column_grid<T>(p.rows, p.columns);
    if (whole) {
      launch_body<norm_backward_columns<T, true>, Body{.replicas = kReplicated<T>}>(
          grid, kColumnWarps * 32, 0, on.stream, p, dweights, dbiases);
    } else {
      launch_body<norm_backward_columns<T, false>, Body{.replicas = kReplicated<T>}>(
          grid, kColumnWarps * 32, 0, on.stream, p, dweights, dbiases);
    }
  }
  if (dweights) {
    add_row_blocks(on, dweights, p.rows, p.columns, p.dweight, p.dbias);
  } else {
    add_row_blocks(on, dbiases, p.rows, p.columns, p.dbias);
  }
}

#define GALVAN_NORM(T)                                     \
  template void norm_forward(Cuda, const NormForward<T>&); \
  template void norm_backward(Cuda, const NormBackward<T>&);
GALVAN_NORM(float)
GALVAN_NORM(double)
GALVAN_NORM(bfloat16)

}  // namespace galvan
