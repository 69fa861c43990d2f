// The MLP's branch of a transformer's block, with the addition and the norm behind it, as one kernel (core/branch.h):
//   z = x Wup^T + bup        h = gelu(z)        s = h Wdown^T + bdown + residual        normed = layer_norm(s)
// Products are of bfloat16 with sums in f32; z goes through GELU, and h on to its product, before it leaves the registers.
// Shapes   x, residual, s, normed [N, C]; z [N, F]; Wup [F, C], Wdown [C, F]; mean, rstd [N] in f32
// Memory   x, residual and the weights once; s, normed and z once. Asked for, from L2: the weights by every kRows rows,
//          biases and the norm's parameters by every warp
// Compute  4 N C F FLOPs, and about 20 for an element of h
// Launch   4 warps for kRows = 64 rows, 16 a warp, through chunks of kChunk hidden channels
#include "core/pointwise.h"
#include "core/variants.h"
#include "cuda/branch.h"

namespace galvan::branch {
namespace {

Variants variants("mlp_branch", "cuda",
                  {{"one_kernel", "cuda/branch_mlp_forward.cu"}, {"composed", "core/ops/branch.cpp"}},
                  Passes::both);

constexpr int kWarps = 4, kThreads = kWarps * 32;

template <int kC>
struct Shared {
  static constexpr int kStride = kStrideOf<kC>, kChunkStride = kStrideOf<kChunk>;
  bfloat16 rows[kRows * kStride];  // x, then the residual, and s
  struct {
    bfloat16 up[kChunk * kStride], down[kC * kChunkStride];
  } weights[2];  // in use and to come
  bfloat16 z[kRows * kChunkStride];
};

template <int kC>
__device__ void mlp_rows(const MlpForward& p) {
  using Tiles = Shared<kC>;
  constexpr int kStride = Tiles::kStride, kChunkStride = Tiles::kChunkStride;
  Tiles& shared = *dynamic_shared<Tiles>();
  const int F = static_cast<int>(p.hidden);
  const WarpRows at(p.rows);
  const auto fetch_weights = [&](int f) {
    auto& to = shared.weights[f / kChunk % 2];
    fetch_tile<kChunk, kC, kStride, kThreads>(p.up_weight + f * kC, kC, kChunk, kC, to.up);
    fetch_tile<kC, kChunk, kChunkStride, kThreads>(p.down_weight + f, F, kC, kChunk, to.down);
  };
  const auto fetch_rows = [&](const bfloat16* x) {
    fetch_tile<kRows, kC, kStride, kThreads>(x + at.block_first * kC, kC, at.block_rows, kC, shared.rows);
  };

  fetch_rows(p.x);
  fetch_weights(0);
  cp_async_commit();
  cp_async_wait<0>();
  __syncthreads();  // x and the first weights are there for all
  bfloat16* const own_rows = shared.rows + at.own * kStride;
  const KeptLeft<kC> x(LeftRows<kStride>{own_rows});
  __syncthreads();  // all have x in registers before the residual takes its place
  fetch_rows(p.end.residual);

  bfloat16* const z_rows = shared.z + at.own * kChunkStride;
  float sums[kC / 8][4] = {};
  Bias<kC / 8>(p.end.bias).add_to(sums);
  for (int f = 0; f < F; f += kChunk) {
    if (f > 0) {
      cp_async_wait<0>();
      __syncthreads();  // these weights are there for all, and all have done with those that are fetched now
    }
    if (f + kChunk < F) fetch_weights(f + kChunk);
    cp_async_commit();
    const auto& weights = shared.weights[f / kChunk % 2];
    const Bias<kChunk / 8> bias(p.up_bias ? p.up_bias + f : nullptr);
    float z[kChunk / 8][4] = {};
    add_product_transposed<kC>(z, x, weights.up);
    bias.add_to(z);
    if (p.z) {
      store_sums<kChunkStride>(z, z_rows);
      __syncwarp();  // the warp's rows of z are whole before they are stored
      copy_rows<16, kChunk, kChunkStride>(z_rows, p.z + at.first * F + f, F, at.rows);
    }
#pragma unroll
    for (int n = 0; n < kChunk / 8; ++n) {
#pragma unroll
      for (int e = 0; e < 4; ++e) z[n][e] = GeluTanh()(z[n][e]);
    }
    add_product_transposed<kChunk>(sums, LeftSums(z), weights.down);
  }
  cp_async_wait<0>();
  __syncthreads();  // the residual is there for all, which with more than one chunk it has been since the second
  end_branch<kC, kStride>(p.end, sums, own_rows, at.first, at.rows);
}

template <int kC>
void launch_rows(Cuda on, const MlpForward& p) {
  launch_body<mlp_rows<kC>, Body{.threads = kThreads, .blocks = 3}>(
      static_cast<unsigned>(mlp_blocks(p.rows)), kThreads, sizeof(Shared<kC>), on.stream, p);
}

}  // namespace

bool takes_mlp(int64_t columns, int64_t hidden) {
  return variants.chosen() == 0 && (columns == 64 || columns == 128) && hidden > 0 && hidden % kChunk == 0;
}

int64_t mlp_blocks(int64_t rows) { return (rows + kRows - 1) / kRows; }

void mlp_forward(Cuda on, const MlpForward& p) {
  if (p.rows == 0) return;
  p.columns == 64 ? launch_rows<64>(on, p) : launch_rows<128>(on, p);
}

}  // namespace galvan::branch
