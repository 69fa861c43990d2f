// Layer norm and RMS norm over the last dimension, with a residual added on the way where one is given.
//   s = x + residual          xhat = (s - mean) rstd          y = xhat weight + bias
//   layer: mean = sum_c s / C,  rstd = 1 / sqrt(sum_c (s - mean)^2 / C + eps)      two passes over a row
//   RMS:   mean = 0             so the same formulas hold
// Shapes   x, residual, s, y [R, C]; weight, bias [C]; mean, rstd [R] in Acc<T>
// Memory   2 R C sizeof(T) bytes, 4 with a residual; asked for, the rest from L1: 4 R C with weight and bias, 6 with a
//          residual; of rows longer than kMostInRegisters 6 and 9
// Compute  about 8 R C FLOPs: bandwidth-bound, judge it in GB/s
// Launch   one row, in replicas up to four short ones, a group of lanes (row_groups.h), which keep it in registers; 128
//          threads a block. Long rows by the rung below
// Ladder   cuda/ladder/README.md: the last of three rungs. Changed from packs: a row is read once, and two short ones
//          share a warp
#include "core/math.h"
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

// Rows of a group at a time in replicas, whose loads are under way together and which share weight and bias. A model by
// itself has too few rows to keep a card busy that way.
template <class T, int kOwn>
constexpr int kMostRows = kOwn <= kPack<T>       ? 4
                          : kOwn <= 2 * kPack<T> ? 2
                                                 : 1;

template <class T, bool kWhole, int kLanes, int kOwn, int kRows>
__device__ void norm_forward_in_registers(NormForward<T> p) {
  using A = Acc<T>;
  using Row = RowOfGroup<T, kWhole, kLanes, kOwn>;
  constexpr int kSize = kPack<T>, kGroups = kThreads / kLanes;
  const int columns = static_cast<int>(p.columns);
  const int64_t first = int64_t{blockIdx.x} * (kRows * kGroups) + threadIdx.x / kLanes;
  const auto index = [&](int j) { return first + j * kGroups; };
  const auto row_at = [&](int j) { return Row{columns, index(j) < p.rows}; };

  Wide<T> s[kRows][Row::kPacks];
  {
    Raw<T> x[kRows][Row::kPacks], residual[kRows][Row::kPacks];
#pragma unroll
    for (int j = 0; j < kRows; ++j) row_at(j).load(p.x + index(j) * columns, x[j]);
    if (p.residual) {
#pragma unroll
      for (int j = 0; j < kRows; ++j) row_at(j).load(p.residual + index(j) * columns, residual[j]);
    }
#pragma unroll
    for (int j = 0; j < kRows; ++j) {
#pragma unroll
      for (int i = 0; i < Row::kPacks; ++i) {
        s[j][i] = widened<T>(x[j][i]);
        if (!p.residual) continue;
        const Wide<T> other = widened<T>(residual[j][i]);
#pragma unroll
        for (int e = 0; e < kSize; ++e) s[j][i].at[e] += other.at[e];
        const Raw<T> sum = narrowed<T>(s[j][i]);
        if (row_at(j).has(i)) row_at(j).store(p.sum + index(j) * columns, i, sum);
        s[j][i] = widened<T>(sum);
      }
    }
  }
  const Row any{columns, true};
  Wide<T> weight[Row::kPacks], bias[Row::kPacks];
#pragma unroll
  for (int i = 0; i < Row::kPacks; ++i) {
    weight[i] = any.parameter(p.weight, 1, i);
    bias[i] = any.parameter(p.bias, 0, i);
  }

  const A scale = A(1) / A(columns), eps = A(p.eps);
#pragma unroll
  for (int j = 0; j < kRows; ++j) {
    const Row row = row_at(j);
    A mean = 0;
    if (p.mean) {
#pragma unroll
      for (int i = 0; i < kOwn; ++i) mean += s[j][i / kSize].at[i % kSize];  // 0 beyond the row
      mean = group_sum<kLanes>(mean) * scale;
    }
    A squares = 0;
#pragma unroll
    for (int i = 0; i < Row::kPacks; ++i) {
      if (!any.has(i)) continue;
#pragma unroll
      for (int e = 0; e < kSize; ++e) {
        const A d = s[j][i].at[e] -= mean;
        if (kWhole || any.has(i, e)) squares += d * d;
      }
    }
    const A rstd = math::rsqrt(group_sum<kLanes>(squares) * scale + eps);

#pragma unroll
    for (int i = 0; i < Row::kPacks; ++i) {
      if (!row.has(i)) continue;
      Wide<T> y;
#pragma unroll
      for (int e = 0; e < kSize; ++e) y.at[e] = s[j][i].at[e] * rstd * weight[i].at[e] + bias[i].at[e];
      row.store(p.y + index(j) * columns, i, narrowed<T>(y));
    }
    if (row.exists && threadIdx.x % kLanes == 0) {
      if (p.mean) p.mean[index(j)] = mean;
      p.rstd[index(j)] = rstd;
    }
  }
}

template <class T>
void norm_in_registers(cudaStream_t stream, const NormForward<T>& p) {
  if (p.columns > kMostInRegisters) return ladder::layer_norm_packs(stream, p);
  const bool whole = packs_are_whole<T>(p.columns, {p.x, p.residual, p.weight, p.bias, p.sum, p.y});
  for_row_groups(p.columns, [&]<int kLanes, int kOwn>() {
    const auto start = [&]<bool kWhole, int kRows>() {
      launch_body<norm_forward_in_registers<T, kWhole, kLanes, kOwn, kRows>,
                  Body{.replicas = kReplicated<T>}>(blocks_for(p.rows, kRows * kThreads / kLanes), kThreads,
                                                    0, stream, p);
    };
    if (!whole) {
      start.template operator()<false, 1>();
    } else if (AsReplica::current()) {
      start.template operator()<true, kMostRows<T, kOwn>>();
    } else {
      start.template operator()<true, 1>();
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
