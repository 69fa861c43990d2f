// Gradients of the MLP's branch (branch_mlp_forward.cu), but those of its weights, as one kernel:
//   ds through the norm (core/branch.h)        h = gelu(z)        dz = (ds Wdown) gelu'(z)        dx = dz Wup
// and the sums over the rows that are the gradients of biases and of the norm's parameters, for each block by itself.
// Shapes   dsum, dnormed, s, ds, dx [N, C]; z, h, dz [N, F]; Wup [F, C], Wdown [C, F]; mean, rstd [N] in f32;
//          partial [blocks, 3 C + F] in f32
// Memory   dsum, dnormed, s, z and the weights once; ds, h, dz, dx and partial once. Asked for, from L2: the weights by every
//          kRows rows
// Compute  4 N C F FLOPs, and about 30 for an element of h and dz
// Launch   4 warps for kRows = 64 rows, 16 a warp, through chunks of kChunk hidden channels
#include "core/pointwise.h"
#include "cuda/branch.h"

namespace galvan::branch {
namespace {

constexpr int kWarps = 4, kThreads = kWarps * 32;

template <int kC>
struct Shared {
  static constexpr int kStride = kStrideOf<kC>, kChunkStride = kStrideOf<kChunk>;
  bfloat16 rows[kRows * kStride];  // ds, then a chunk of h, and dx
  struct {
    bfloat16 up[kChunk * kStride], down[kC * kChunkStride];
    bfloat16 z[kRows * kChunkStride];  // z, then dz
  } chunks[2];                         // in use and to come
  float of_warps[kWarps * 3 * kC];     // sums of the norm's
  float dz_sums[2][kWarps][kChunk];
};

template <int kC>
__device__ void mlp_row_gradients(const MlpBackward& p) {
  using Tiles = Shared<kC>;
  constexpr int kStride = Tiles::kStride, kChunkStride = Tiles::kChunkStride;
  Tiles& shared = *dynamic_shared<Tiles>();
  const int F = static_cast<int>(p.hidden);
  const WarpRows at(p.rows);
  float* const partial = p.sums.partial + blockIdx.x * (3 * kC + p.hidden);
  const auto fetch = [&](int f) {
    auto& to = shared.chunks[f / kChunk % 2];
    fetch_tile<kC, kChunk, kChunkStride, kThreads>(p.down_weight + f, F, kC, kChunk, to.down);
    fetch_tile<kRows, kChunk, kChunkStride, kThreads>(p.z + at.block_first * F + f, F, at.block_rows, kChunk,
                                                      to.z);
    fetch_tile<kChunk, kC, kStride, kThreads>(p.up_weight + f * kC, kC, kChunk, kC, to.up);
    cp_async_commit();
  };
  const auto store_dz_sums = [&](int f) {
    const int c = static_cast<int>(threadIdx.x);
    const auto& sums = shared.dz_sums[f / kChunk % 2];
    if (c < kChunk) partial[3 * kC + f + c] = (sums[0][c] + sums[1][c]) + (sums[2][c] + sums[3][c]);
  };

  fetch(0);
  begin_backward<kC, kStride, kWarps>(p.end, at.block_first, at.block_rows, shared.rows, shared.of_warps);
  __syncwarp();  // the warp's rows of ds are whole before they are read
  bfloat16* const own_rows = shared.rows + at.own * kStride;
  const KeptLeft<kC> ds(LeftRows<kStride>{own_rows});
  float dx[kC / 8][4] = {};
  for (int f = 0; f < F; f += kChunk) {
    cp_async_wait<0>();
    __syncthreads();  // this chunk is there for all, and all have done with the one that is fetched now
    if (f + kChunk < F) fetch(f + kChunk);
    f == 0 ? store_sums_of_warps<kC, kWarps>(shared.of_warps, partial) : store_dz_sums(f - kChunk);
    auto& chunk = shared.chunks[f / kChunk % 2];
    bfloat16* const z_rows = chunk.z + at.own * kChunkStride;

    float dz[kChunk / 8][4] = {};
    add_product<kC, kChunkStride>(dz, ds, chunk.down);
#pragma unroll
    for (int n = 0; n < kChunk / 8; ++n) {
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        const auto z = pair_at<kChunkStride>(z_rows, half, n);
        float h[2];
#pragma unroll
        for (int e = 0; e < 2; ++e) {
          h[e] = GeluTanh()(float(z.at[e]));
          dz[n][2 * half + e] *= GeluTanh().derivative(float(z.at[e]));
        }
        pair_at<kStride>(own_rows, half, n) = std::bit_cast<Pack<bfloat16, 2>>(pack_bf16(h[0], h[1]));
      }
    }
    store_sums<kChunkStride>(dz, z_rows);
    __syncwarp();  // the warp's rows of h and dz are whole before they are read
    copy_rows<16, kChunk, kStride>(own_rows, p.h + at.first * F + f, F, at.rows);
    copy_rows<16, kChunk, kChunkStride>(z_rows, p.dz + at.first * F + f, F, at.rows);
#pragma unroll
    for (int c = 0; c < kChunk; c += 16)
      sum_columns<16, kChunkStride>(z_rows + c, shared.dz_sums[f / kChunk % 2][warp_id()] + c);
    add_product<kChunk, kStride>(dx, LeftSums(dz), chunk.up);
  }
  __syncthreads();  // every warp's sums of the last chunk are there
  store_dz_sums(F - kChunk);
  store_sums<kStride>(dx, own_rows);
  __syncwarp();  // the warp's rows of dx are whole before they are stored
  copy_rows<16, kC, kStride>(own_rows, p.dx + at.first * kC, kC, at.rows);
}

template <int kC>
void launch_rows(Cuda on, const MlpBackward& p) {
  launch_body<mlp_row_gradients<kC>, Body{.threads = kThreads, .blocks = 3}>(
      static_cast<unsigned>(mlp_blocks(p.rows)), kThreads, sizeof(Shared<kC>), on.stream, p);
}

}  // namespace

void mlp_backward(Cuda on, const MlpBackward& p) {
  if (p.rows > 0) p.columns == 64 ? launch_rows<64>(on, p) : launch_rows<128>(on, p);
  add_partial_sums(on, p.sums, mlp_blocks(p.rows), p.columns, p.hidden);
}

}  // namespace galvan::branch
