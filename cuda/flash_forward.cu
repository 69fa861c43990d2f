// Flash attention in bfloat16, forward: what attention_forward.cu does, on tensor cores.
//   S = scale Q K^T + mask        O = softmax(S) V        lse[t] = ln sum_j exp(S[t, j])
// Products are of bfloat16 with sums in f32; P is rounded to bfloat16 before it meets V (Dao, arXiv:2307.08691).
// Exponentials are to base 2, of scores times log2 e.
// Shapes   q, y: [B, H, Tq, D]; k, v: [B, G, Tk, D], H / G heads share each; lse: [B, H, Tq]; D a multiple of 8
// Memory   q, k, v, y and lse once; asked for are k and v by every 64 queries of a head, from L2; T x T
//          scores are never stored
// Compute  4 B H Tq Tk D FLOPs, half of that when causal
// Ladder   cuda/ladder/README.md: the last rung of four
// Launch   4 warps for 64 queries of a head (cuda/flash.h)
#include <algorithm>

#include "core/kernels.h"
#include "cuda/attention.h"
#include "cuda/flash.h"
#include "cuda/replicas.h"

namespace galvan::flash {
namespace {

template <int kD>
constexpr int kN = kD == 64 ? 64 : 32;  // keys at a time: as many as leave registers for several blocks

template <int kD>
constexpr size_t kSharedBytes = sizeof(bfloat16) * (Tiles<kD>::kM + 4 * kN<kD>)*Tiles<kD>::kStride;

template <int kD>
__device__ void flash_queries(AttentionSizes sizes, HeadRows<const bfloat16> q, HeadRows<const bfloat16> k,
                              HeadRows<const bfloat16> v, HeadRows<bfloat16> y, float* lse) {
  constexpr int kM = Tiles<kD>::kM, kN = flash::kN<kD>, kTile = kN * Tiles<kD>::kStride;
  bfloat16* const q_tile = dynamic_shared<bfloat16>();  // (kM, kD)
  bfloat16* const kv_tiles =
      q_tile + kM * Tiles<kD>::kStride;  // (2, 2, kN, kD): of k and v, in use and to come
  const int D = static_cast<int>(sizes.D), Tq = static_cast<int>(sizes.Tq), Tk = static_cast<int>(sizes.Tk);
  const int H = static_cast<int>(sizes.H), group = H / static_cast<int>(sizes.G);
  const int tiles = (Tq + kM - 1) / kM, block = static_cast<int>(blockIdx.x), head = block / tiles;
  const int b = head / H, h = head % H, g = h / group;
  const int first = (tiles - 1 - block % tiles) * kM;  // those that see most keys start first
  const int warp_first = first + 16 * warp_id();
  const auto visible_to = [&](int query) { return sizes.causal ? std::min(Tk, query + Tk - Tq + 1) : Tk; };
  const float scale = static_cast<float>(sizes.scale) * kLog2E;
  const auto fetch = [&](int k0, bfloat16* tile) {
    fetch_rows<kD, kN>(k, b, g, k0, Tk, D, tile);
    fetch_rows<kD, kN>(v, b, g, k0, Tk, D, tile + kTile);
  };

  fetch_rows<kD, kM>(q, b, h, first, Tq, D, q_tile);
  fetch(0, kv_tiles);
  cp_async_commit();
  cp_async_wait<0>();
  __syncthreads();  // every thread's copies are there before they are read
  const KeptLeft<kD> q_rows(left_of<kD>(q_tile));

  float o[kD / 8][4] = {};
  float largest[2] = {-INFINITY, -INFINITY}, sum[2] = {};  // m, and this lane's part of l
  const int end = visible_to(first + kM - 1);
  int in_use = 0;
  for (int k0 = 0; k0 < end; k0 += kN, in_use ^= 1) {
    const bfloat16* const k_tile = kv_tiles + in_use * 2 * kTile;
    if (k0 + kN < end) fetch(k0 + kN, kv_tiles + (in_use ^ 1) * 2 * kTile);
    cp_async_commit();

    // What none of the warp's queries sees is left out, 16 keys at a time; the first block is seen in the first tile.
    const int seen_by_warp = visible_to(warp_first + 15) - k0;
    const auto seen = [&](int block) { return 16 * block < seen_by_warp; };
    if (seen(0)) {
      float s[kN / 8][4] = {};
      add_product_transposed<kD>(s, q_rows, k_tile, seen);

      const bool all_visible = k0 + kN <= visible_to(warp_first);
#pragma unroll
      for (int r = 0; r < 2; ++r) {
        const int visible = visible_to(warp_first + pair_row() + 8 * r) - k0;
        float m = largest[r];
#pragma unroll
        for (int n = 0; n < kN / 8; ++n) {
          if (!seen(n / 2)) continue;
#pragma unroll
          for (int e = 2 * r; e < 2 * r + 2; ++e) {
            s[n][e] *= scale;
            if (!all_visible && 8 * n + pair_column() + e % 2 >= visible) s[n][e] = -INFINITY;
            m = fmaxf(m, s[n][e]);
          }
        }
        m = row_max(m);
        const float factor = exp2_approx(largest[r] - m);
        largest[r] = m;
        sum[r] *= factor;
#pragma unroll
        for (int n = 0; n < kD / 8; ++n) o[n][2 * r] *= factor, o[n][2 * r + 1] *= factor;
#pragma unroll
        for (int n = 0; n < kN / 8; ++n) {
          if (!seen(n / 2)) continue;
#pragma unroll
          for (int e = 2 * r; e < 2 * r + 2; ++e) sum[r] += s[n][e] = exp2_approx(s[n][e] - m);
        }
      }
      add_product<kN, Tiles<kD>::kStride>(o, LeftSums(s), k_tile + kTile, seen);
    }
    cp_async_wait<0>();
    __syncthreads();  // the next tiles are there for all, and all have read these before others overwrite them
  }

  float inverse[2];
#pragma unroll
  for (int r = 0; r < 2; ++r) {
    const int row = warp_first + pair_row() + 8 * r;
    const float l = row_sum(sum[r]);
    inverse[r] = 1 / l;
    if (pair_column() == 0 && row < Tq) lse[head * sizes.Tq + row] = largest[r] * kLn2 + std::log(l);
  }
  store_rows(o, inverse, y, b, h, warp_first, sizes.Tq, D);
}

}  // namespace

void attention_forward(Cuda on, const AttentionSizes& sizes, HeadRows<const bfloat16> q,
                       HeadRows<const bfloat16> k, HeadRows<const bfloat16> v, HeadRows<bfloat16> y,
                       float* lse) {
  attention_tiles::with_padded_head(sizes.D, [&]<int kD>() {
    const int64_t tiles = (sizes.Tq + Tiles<kD>::kM - 1) / Tiles<kD>::kM;
    constexpr int kBlocks = kD <= 32 ? 6 : kD <= 64 ? 4 : 2;  // whose registers a multiprocessor has
    launch_body<flash_queries<kD>, Body{.threads = kThreads,
                                        .blocks = kBlocks,
                                        .replica_blocks = kD <= 32   ? 5
                                                          : kD <= 64 ? 3
                                                                     : 2}>(
        static_cast<unsigned>(sizes.B * sizes.H * tiles), kThreads, kSharedBytes<kD>, on.stream, sizes, q, k,
        v, y, lse);
  });
}

}  // namespace galvan::flash
