// Layer norm, rung 3, above what training uses (rung 2: cuda/norm.cu, packs): a row stays in its warp's registers.
// Changed  a lane keeps the packs of its row that it has read, and goes through them instead of through memory
// Helps    x is read once instead of three times
// Costs    up to 32 registers for a row of 1024 floats, whatever its length, and no longer rows. That a row is in L1
//          the second time makes reading it again cheap, so which of the two is faster is for a card to say
// Memory   2 R C sizeof(T) bytes, 4 with a residual; asked for, the rest from L1: 4 R C with weight and bias, 6 with a
//          residual
// Launch   one row a warp, four warps a block
// Figure   bytes asked for, in README.md
#include <cmath>

#include "cuda/ladder/layer_norm.h"
#include "cuda/pack.h"
#include "cuda/warp.h"

namespace galvan::ladder {
namespace {

constexpr int kWarps = 4;

template <class T, bool kWhole>
__global__ void norm_forward_in_registers(NormForward<T> p) {
  using A = Acc<T>;
  constexpr int kSize = kPack<T>, kStep = 32 * kSize, kPacks = kMostInRegisters / kStep;
  const int64_t row = int64_t{blockIdx.x} * kWarps + warp_id();
  const int columns = static_cast<int>(p.columns), first = lane_id() * kSize;
  if (row >= p.rows) return;
  const int64_t start = row * columns;

  Pack<T> s[kPacks] = {};
#pragma unroll
  for (int i = 0; i < kPacks; ++i) {
    const int c = first + i * kStep;
    if (c >= columns) continue;
    s[i] = load_pack<kWhole>(p.x + start, c, columns);
    if (!p.residual) continue;
    const auto residual = load_pack<kWhole>(p.residual + start, c, columns);
#pragma unroll
    for (int e = 0; e < kSize; ++e) s[i].at[e] = T(A(s[i].at[e]) + A(residual.at[e]));
    store_pack<kWhole>(p.sum + start, c, columns, s[i]);
  }

  const A scale = A(1) / A(columns);
  A mean = 0;
  if (p.mean) {
#pragma unroll
    for (int i = 0; i < kPacks; ++i)
#pragma unroll
      for (int e = 0; e < kSize; ++e) mean += A(s[i].at[e]);  // 0 beyond the row
    mean = warp_sum(mean) * scale;
  }
  A squares = 0;
#pragma unroll
  for (int i = 0; i < kPacks; ++i)
#pragma unroll
    for (int e = 0; e < kSize; ++e) {
      const A d = first + i * kStep + e < columns ? A(s[i].at[e]) - mean : A(0);
      squares += d * d;
    }
  const A rstd = A(1) / std::sqrt(warp_sum(squares) * scale + A(p.eps));

#pragma unroll
  for (int i = 0; i < kPacks; ++i) {
    const int c = first + i * kStep;
    if (c >= columns) continue;
    Pack<T> weight{}, bias{};
    if (p.weight) weight = load_pack<kWhole>(p.weight, c, columns);
    if (p.bias) bias = load_pack<kWhole>(p.bias, c, columns);
    Pack<T> y;
#pragma unroll
    for (int e = 0; e < kSize; ++e) {
      A out = (A(s[i].at[e]) - mean) * rstd;
      if (p.weight) out *= A(weight.at[e]);
      if (p.bias) out += A(bias.at[e]);
      y.at[e] = T(out);
    }
    store_pack<kWhole>(p.y + start, c, columns, y);
  }
  if (lane_id() == 0) {
    if (p.mean) p.mean[row] = mean;
    p.rstd[row] = rstd;
  }
}

}  // namespace

template <class T>
void layer_norm_in_registers(cudaStream_t stream, const NormForward<T>& p) {
  const unsigned blocks = blocks_for(p.rows, kWarps);
  if (packs_are_whole<T>(p.columns, {p.x, p.residual, p.weight, p.bias, p.sum, p.y})) {
    launch<norm_forward_in_registers<T, true>>(blocks, kWarps * 32, 0, stream, p);
  } else {
    launch<norm_forward_in_registers<T, false>>(blocks, kWarps * 32, 0, stream, p);
  }
}
template void layer_norm_in_registers(cudaStream_t, const NormForward<float>&);
template void layer_norm_in_registers(cudaStream_t, const NormForward<bfloat16>&);

}  // namespace galvan::ladder
