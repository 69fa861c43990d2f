// Layer norm and RMS norm over the last dimension, with a residual added on the way where one is given.
//   s = x + residual          xhat = (s - mean) rstd          y = xhat weight + bias
//   layer: mean = sum_c s / C,  rstd = 1 / sqrt(sum_c (s - mean)^2 / C + eps)      two passes over a row
//   RMS:   mean = 0             so the same formulas hold
// Shapes   x, residual, s, y [R, C]; weight, bias [C]; mean, rstd [R] in Acc<T>
// Memory   2 R C sizeof(T) bytes, 4 with a residual; asked for, the rest from L1: 4 R C with weight and bias, 6 with a
//          residual; of rows longer than kMostInRegisters 6 and 9
// Compute  about 8 R C FLOPs: bandwidth-bound, judge it in GB/s
// Launch   one row a group of lanes (row_groups.h), which keep it in registers; 128 threads a block. Long rows by the
//          rung below
// Ladder   cuda/ladder/README.md: the last of three rungs. Changed from packs: a row is read once, and two short ones
//          share a warp
#include <cmath>

#include "core/variants.h"
#include "cuda/ladder/layer_norm.h"
#include "cuda/replicas.h"
#include "cuda/row_groups.h"

namespace galvan {
namespace {

Variants variants("layer_norm", "cuda",
                  {{"in_registers", "cuda/norm_forward.cu"},
                   {"elements", "cuda/ladder/layer_norm_1_elements.cu"},
                   {"packs", "cuda/ladder/layer_norm_2_packs.cu"}});

constexpr int kThreads = 128;

template <class T, bool kWhole, int kLanes, int kOwn>
__device__ void norm_forward_in_registers(NormForward<T> p) {
  using A = Acc<T>;
  using Row = RowOfGroup<T, kWhole, kLanes, kOwn>;
  const int64_t r = int64_t{blockIdx.x} * (kThreads / kLanes) + threadIdx.x / kLanes;
  const Row row{static_cast<int>(p.columns), r < p.rows};
  const int64_t start = r * p.columns;

  Pack<T> s[Row::kPacks];
  row.load(p.x + start, s);
  if (p.residual) {
    Pack<T> residual[Row::kPacks];
    row.load(p.residual + start, residual);
#pragma unroll
    for (int i = 0; i < Row::kPacks; ++i) {
#pragma unroll
      for (int e = 0; e < Row::kSize; ++e) s[i].at[e] = T(A(s[i].at[e]) + A(residual[i].at[e]));
      if (row.has(i)) row.store(p.sum + start, i, s[i]);
    }
  }

  const A scale = A(1) / A(p.columns);
  A mean = 0;
  if (p.mean) {
#pragma unroll
    for (int i = 0; i < Row::kPacks; ++i)
#pragma unroll
      for (int e = 0; e < Row::kSize; ++e) mean += A(s[i].at[e]);  // 0 beyond the row
    mean = group_sum<kLanes>(mean) * scale;
  }
  A squares = 0;
#pragma unroll
  for (int i = 0; i < Row::kPacks; ++i)
#pragma unroll
    for (int e = 0; e < Row::kSize; ++e) {
      const A d = row.has(i, e) ? A(s[i].at[e]) - mean : A(0);
      squares += d * d;
    }
  const A rstd = A(1) / std::sqrt(group_sum<kLanes>(squares) * scale + A(p.eps));

#pragma unroll
  for (int i = 0; i < Row::kPacks; ++i) {
    if (!row.has(i)) continue;
    Pack<T> weight{}, bias{}, y;
    if (p.weight) weight = load_pack<kWhole>(p.weight, row.column(i), row.columns);
    if (p.bias) bias = load_pack<kWhole>(p.bias, row.column(i), row.columns);
#pragma unroll
    for (int e = 0; e < Row::kSize; ++e) {
      A out = (A(s[i].at[e]) - mean) * rstd;
      if (p.weight) out *= A(weight.at[e]);
      if (p.bias) out += A(bias.at[e]);
      y.at[e] = T(out);
    }
    row.store(p.y + start, i, y);
  }
  if (row.exists && threadIdx.x % kLanes == 0) {
    if (p.mean) p.mean[r] = mean;
    p.rstd[r] = rstd;
  }
}

template <class T>
void norm_in_registers(cudaStream_t stream, const NormForward<T>& p) {
  if (p.columns > kMostInRegisters) return ladder::layer_norm_packs(stream, p);
  const bool whole = packs_are_whole<T>(p.columns, {p.x, p.residual, p.weight, p.bias, p.sum, p.y});
  for_row_groups(p.columns, [&]<int kLanes, int kOwn>() {
    constexpr Body kBody{.replicas = kReplicated<T>};
    const unsigned blocks = blocks_for(p.rows, kThreads / kLanes);
    if (whole) {
      launch_body<norm_forward_in_registers<T, true, kLanes, kOwn>, kBody>(blocks, kThreads, 0, stream, p);
    } else {
      launch_body<norm_forward_in_registers<T, false, kLanes, kOwn>, kBody>(blocks, kThreads, 0, stream, p);
    }
  });
}

}  // namespace

template <class T>
void norm_forward(Cuda on, const NormForward<T>& p) {
  if (p.rows == 0) return;
  if constexpr (std::is_same_v<T, double>) {
    norm_in_registers(on.stream, p);
  } else {
    static constexpr void (*kVersions[])(cudaStream_t, const NormForward<T>&) = {
        norm_in_registers, ladder::layer_norm_elements, ladder::layer_norm_packs};
    variants.pick(kVersions)(on.stream, p);
  }
}
template void norm_forward(Cuda, const NormForward<float>&);
template void norm_forward(Cuda, const NormForward<double>&);
template void norm_forward(Cuda, const NormForward<bfloat16>&);

}  // namespace galvan
