// Flash attention in bfloat16, backward: what attention_backward.cu does, on tensor cores. P and dS are made again
// from lse, tile by tile, and rounded to bfloat16 before they meet dO, K and Q.
//   P = exp(S - lse), S = scale Q K^T + mask        dP = dO V^T        dS = P (dP - delta)
//   dV = P^T dO        dQ = scale dS K        dK = scale dS^T Q        delta[t] = <dO[t], O[t]>
// Shapes   q, y, dy, dq: [B, H, Tq, D]; k, v, dk, dv: [B, G, Tk, D], of H / G heads each; lse: [B, H, Tq]; D a
//          multiple of 8
// Memory   q, k, v, y, dy, lse, dq, dk and dv once. Asked for, from L2, for dQ: k and v by every 64 queries of a
//          head, and dy twice; for dK and dV: q, y, dy and lse by every 64 keys
// Compute  14 B H Tq Tk D FLOPs, half of that when causal: S and dP are made twice, since dQ sums over keys and
//          dK and dV over queries, each in one block's order, without atomics
// Launch   one, of 4 warps for 64 keys of a key/value head and for 64 queries of a head (cuda/flash.h)
#include <algorithm>

#include "core/kernels.h"
#include "cuda/attention.h"
#include "cuda/flash.h"
#include "cuda/replicas.h"

namespace galvan::flash {
namespace {

struct Inputs {
  HeadRows<const bfloat16> q, k, v, y, dy;
  const float* lse;
};

__device__ inline float pack_product(const Pack<bfloat16>& a, const Pack<bfloat16>& b) {
  float sum = 0;
#pragma unroll
  for (int i = 0; i < 8; ++i) sum += float(a.at[i]) * float(b.at[i]);
  return sum;
}

// Rows of the other side at a time: fewer than forward, so that registers leave room for more blocks.
constexpr int kN = 32;

// --- dQ ---

template <int kD>
constexpr size_t kQueryBytes = sizeof(bfloat16) * (2 * Tiles<kD>::kM + 4 * kN) * Tiles<kD>::kStride;

template <int kD>
__device__ inline void query_gradients(int64_t block, const AttentionSizes& sizes, const Inputs& in,
                                       const HeadRows<bfloat16>& dq) {
  constexpr int kM = Tiles<kD>::kM, kTile = kN * Tiles<kD>::kStride;
  bfloat16* const q_tile = dynamic_shared<bfloat16>();         // (kM, kD)
  bfloat16* const dy_tile = q_tile + kM * Tiles<kD>::kStride;  // (kM, kD)
  bfloat16* const kv_tiles =
      dy_tile + kM * Tiles<kD>::kStride;  // (2, 2, kN, kD): k and v, in use and to come
  const int64_t tiles = (sizes.Tq + kM - 1) / kM, head = block / tiles;
  const int64_t b = head / sizes.H, h = head % sizes.H, g = h / (sizes.H / sizes.G);
  const int first = static_cast<int>(tiles - 1 - block % tiles) * kM;  // those that see most keys start first
  const int warp_first = first + 16 * warp_id();
  const int D = static_cast<int>(sizes.D), Tq = static_cast<int>(sizes.Tq), Tk = static_cast<int>(sizes.Tk);
  const float scale = static_cast<float>(sizes.scale);
  const auto fetch = [&](int64_t k0, bfloat16* tile) {
    fetch_rows<kD, kN>(in.k, b, g, k0, Tk, D, tile);
    fetch_rows<kD, kN>(in.v, b, g, k0, Tk, D, tile + kTile);
  };

  fetch_rows<kD, kM>(in.q, b, h, first, Tq, D, q_tile);
  fetch_rows<kD, kM>(in.dy, b, h, first, Tq, D, dy_tile);
  fetch(0, kv_tiles);
  cp_async_commit();
  float lse[2] = {}, delta[2] = {};  // of rows pair_row() and + 8; lse to base 2
#pragma unroll
  for (int r = 0; r < 2; ++r) {
    const int row = warp_first + pair_row() + 8 * r;
    if (row < Tq) {
      lse[r] = in.lse[head * sizes.Tq + row] * kLog2E;
      const bfloat16 *y = in.y.at(b, h, row), *dy = in.dy.at(b, h, row);
      for (int d = lane_id() % 4 * 8; d < D; d += 32)
        delta[r] += pack_product(pack_at<8>(y + d), pack_at<8>(dy + d));
    }
    delta[r] = row_sum(delta[r]);
  }
  cp_async_wait<0>();
  __syncthreads();  // every thread's copies are there before they are read

  float sums[kD / 8][4] = {};
  const int end = static_cast<int>(smaller(sizes.Tk, sizes.visible(first + kM - 1)));
  int in_use = 0;
  for (int k0 = 0; k0 < end; k0 += kN, in_use ^= 1) {
    const bfloat16 *const k_tile = kv_tiles + in_use * 2 * kTile, *const v_tile = k_tile + kTile;
    if (k0 + kN < end) fetch(k0 + kN, kv_tiles + (in_use ^ 1) * 2 * kTile);
    cp_async_commit();

    float s[kN / 8][4] = {}, dp[kN / 8][4] = {};
    add_product_transposed<kD>(s, LeftOf<kD>{q_tile}, k_tile);
    add_product_transposed<kD>(dp, LeftOf<kD>{dy_tile}, v_tile);
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      const int visible =
          static_cast<int>(smaller(sizes.Tk, sizes.visible(warp_first + pair_row() + 8 * r)) - k0);
#pragma unroll
      for (int n = 0; n < kN / 8; ++n) {
#pragma unroll
        for (int e = 2 * r; e < 2 * r + 2; ++e) {
          const bool seen = 8 * n + pair_column() + e % 2 < visible;
          const float p = seen ? exp2f(s[n][e] * (scale * kLog2E) - lse[r]) : 0;
          dp[n][e] = p * (dp[n][e] - delta[r]);
        }
      }
    }
    add_product<kD>(sums, dp, k_tile);
    cp_async_wait<0>();
    __syncthreads();  // the next tiles are there for all, and all have read these before others overwrite them
  }
  store_rows(sums, {scale, scale}, dq, b, h, warp_first, sizes.Tq, D);
}

// --- dK and dV ---

template <int kD>
constexpr size_t kKeyBytes = sizeof(bfloat16) * (2 * Tiles<kD>::kM + 6 * kN) * Tiles<kD>::kStride;

// delta[row] = <dy[row], y[row]> for the rows of two tiles (kN, kD); neighbouring threads share one.
template <int kD>
__device__ inline void row_deltas(const bfloat16* y_tile, const bfloat16* dy_tile, float* delta) {
  constexpr int kShare = kThreads / kN, kPart = kD / kShare;
  const int row = static_cast<int>(threadIdx.x) / kShare, part = static_cast<int>(threadIdx.x) % kShare;
  float sum = 0;
#pragma unroll
  for (int i = 0; i < kPart; i += 8) {
    const int at = row * Tiles<kD>::kStride + part * kPart + i;
    sum += pack_product(pack_at<8>(y_tile + at), pack_at<8>(dy_tile + at));
  }
  for (int flip = kShare / 2; flip > 0; flip /= 2) sum += __shfl_xor_sync(kAllLanes, sum, flip);
  if (part == 0) delta[row] = sum;
}

template <int kD>
__device__ inline void key_gradients(int64_t block, const AttentionSizes& sizes, const Inputs& in,
                                     const HeadRows<bfloat16>& dk, const HeadRows<bfloat16>& dv) {
  constexpr int kM = Tiles<kD>::kM, kTile = kN * Tiles<kD>::kStride;
  GALVAN_SHARED(float[2][kN], shared_lse);  // in use and to come
  GALVAN_SHARED(float[kN], delta);
  bfloat16* const k_tile = dynamic_shared<bfloat16>();        // (kM, kD)
  bfloat16* const v_tile = k_tile + kM * Tiles<kD>::kStride;  // (kM, kD)
  bfloat16* const q_tiles =
      v_tile + kM * Tiles<kD>::kStride;  // (2, 3, kN, kD): q, dy and y, in use and to come
  const int64_t tiles = (sizes.Tk + kM - 1) / kM, group = sizes.H / sizes.G;
  const int64_t b = block / tiles / sizes.G, g = block / tiles % sizes.G;
  const int first = static_cast<int>(block % tiles) * kM, warp_first = first + 16 * warp_id();
  const int D = static_cast<int>(sizes.D), Tq = static_cast<int>(sizes.Tq), Tk = static_cast<int>(sizes.Tk);
  const float scale = static_cast<float>(sizes.scale);

  // The queries that see a key of the tile, of each head that shares it.
  const int older = Tk - Tq;  // query t stands at key t + older
  const int begin = sizes.causal && first > older ? first - older : 0;
  const int steps = (Tq - begin + kN - 1) / kN, count = steps * static_cast<int>(group);
  const auto fetch = [&](int step, int stage) {
    const int64_t h = g * group + step / steps;
    const int q0 = begin + step % steps * kN;
    bfloat16* const tile = q_tiles + stage * 3 * kTile;
    fetch_rows<kD, kN>(in.q, b, h, q0, Tq, D, tile);
    fetch_rows<kD, kN>(in.dy, b, h, q0, Tq, D, tile + kTile);
    fetch_rows<kD, kN>(in.y, b, h, q0, Tq, D, tile + 2 * kTile);
    const int i = static_cast<int>(threadIdx.x);
    const bool inside = q0 + i < Tq;
    if (i < kN)
      cp_async<4>(&shared_lse[stage][i], inside ? in.lse + (b * sizes.H + h) * sizes.Tq + q0 + i : in.lse,
                  inside ? 4 : 0);
  };

  fetch_rows<kD, kM>(in.k, b, g, first, Tk, D, k_tile);
  fetch_rows<kD, kM>(in.v, b, g, first, Tk, D, v_tile);
  if (count > 0) fetch(0, 0);
  cp_async_commit();
  cp_async_wait<0>();
  __syncthreads();  // every thread's copies are there before they are read

  float dk_sums[kD / 8][4] = {}, dv_sums[kD / 8][4] = {};
  for (int step = 0; step < count; ++step) {
    const int stage = step % 2;
    const bfloat16 *const q_tile = q_tiles + stage * 3 * kTile, *const dy_tile = q_tile + kTile;
    const float* const lse = shared_lse[stage];
    if (step + 1 < count) fetch(step + 1, stage ^ 1);
    cp_async_commit();
    row_deltas<kD>(dy_tile + kTile, dy_tile, delta);

    float s[kN / 8][4] = {}, dp[kN / 8][4] = {};  // (16, kN): transposed, keys by queries
    add_product_transposed<kD>(s, LeftOf<kD>{k_tile}, q_tile);
    const int q0 = begin + step % steps * kN;
    const int queries = Tq - q0;  // more than kN of them count as kN
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      // From which query on they see this row's key.
      const int seen_from = sizes.causal ? warp_first + pair_row() + 8 * r - older - q0 : 0;
#pragma unroll
      for (int n = 0; n < kN / 8; ++n) {
#pragma unroll
        for (int e = 2 * r; e < 2 * r + 2; ++e) {
          const int query = 8 * n + pair_column() + e % 2;
          const bool seen = query >= seen_from && query < queries;
          s[n][e] = seen ? exp2f(s[n][e] * (scale * kLog2E) - lse[query] * kLog2E) : 0;
        }
      }
    }
    add_product<kD>(dv_sums, s, dy_tile);
    add_product_transposed<kD>(dp, LeftOf<kD>{v_tile}, dy_tile);
    __syncthreads();  // delta is written before it is read
#pragma unroll
    for (int n = 0; n < kN / 8; ++n) {
#pragma unroll
      for (int e = 0; e < 4; ++e) dp[n][e] = s[n][e] * (dp[n][e] - delta[8 * n + pair_column() + e % 2]);
    }
    add_product<kD>(dk_sums, dp, q_tile);
    cp_async_wait<0>();
    __syncthreads();  // the next tiles are there for all, and all have read these and delta
  }
  store_rows(dk_sums, {scale, scale}, dk, b, g, warp_first, sizes.Tk, D);
  store_rows(dv_sums, {1, 1}, dv, b, g, warp_first, sizes.Tk, D);
}

// The first blocks, which have more to do, make dK and dV, the others dQ.
template <int kD>
__device__ void flash_gradients(AttentionSizes sizes, Inputs in, HeadRows<bfloat16> dq, HeadRows<bfloat16> dk,
                                HeadRows<bfloat16> dv, unsigned key_blocks) {
  if (blockIdx.x < key_blocks) {
    key_gradients<kD>(blockIdx.x, sizes, in, dk, dv);
  } else {
    query_gradients<kD>(blockIdx.x - key_blocks, sizes, in, dq);
  }
}

}  // namespace

void attention_backward(Cuda on, const AttentionSizes& sizes, HeadRows<const bfloat16> q,
                        HeadRows<const bfloat16> k, HeadRows<const bfloat16> v, HeadRows<const bfloat16> y,
                        HeadRows<const bfloat16> dy, const float* lse, HeadRows<bfloat16> dq,
                        HeadRows<bfloat16> dk, HeadRows<bfloat16> dv) {
  const Inputs in{q, k, v, y, dy, lse};
  attention_tiles::with_padded_head(sizes.D, [&]<int kD>() {
    const auto blocks = [](int64_t heads, int64_t rows) {
      return static_cast<unsigned>(heads * ((rows + Tiles<kD>::kM - 1) / Tiles<kD>::kM));
    };
    const unsigned of_keys = blocks(sizes.B * sizes.G, sizes.Tk),
                   of_queries = blocks(sizes.B * sizes.H, sizes.Tq);
    if (of_keys + of_queries == 0) return;
    constexpr int kBlocks = kD <= 32 ? 4 : kD <= 64 ? 3 : 2;  // whose registers a multiprocessor has
    launch_body<flash_gradients<kD>,
                // Replicas' arguments leave too few registers for the largest heads: these take turns.
                Body{.threads = kThreads,
                     .blocks = kBlocks,
                     .replicas = kD <= 64,
                     .replica_blocks = kD <= 32 ? 4 : 2}>(of_keys + of_queries, kThreads,
                                                          std::max(kKeyBytes<kD>, kQueryBytes<kD>), on.stream,
                                                          sizes, in, dq, dk, dv, of_keys);
  });
}

}  // namespace galvan::flash
