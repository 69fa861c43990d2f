// Flash attention in bfloat16, backward: what attention_backward.cu does, on tensor cores. P and dS are made again
// from lse, tile by tile, and rounded to bfloat16 before they meet dO, K and Q.
//   P = exp(S - lse), S = scale Q K^T + mask        dP = dO V^T        dS = P (dP - delta)
//   dV = P^T dO        dQ = scale dS K        dK = scale dS^T Q        delta[t] = <dO[t], O[t]>
// Shapes   q, y, dy, dq: [B, H, Tq, D]; k, v, dk, dv: [B, G, Tk, D], of H / G heads each; lse: [B, H, Tq]; D a
//          multiple of 8
// Memory   q, k, v, y, dy, lse, dq, dk and dv once. Asked for, from L2, with more than 64 keys, for dQ: k and v by
//          every 64 queries of a head, and dy twice; for dK and dV: q, y, dy and lse by every 64 keys
// Compute  14 B H Tq Tk D FLOPs, half of that when causal: S and dP are made twice, since dQ sums over keys and
//          dK and dV over queries, each in one block's order, without atomics. 10 B H Tq Tk D up to 64 keys: who has
//          all keys of its queries makes all three
// Launch   one, of 4 warps for 64 keys of a key/value head and, with more than 64, for 64 queries of a head
//          (cuda/flash.h)
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
__device__ inline void query_gradients(int block, const AttentionSizes& sizes, const Inputs& in,
                                       const HeadRows<bfloat16>& dq) {
  constexpr int kM = Tiles<kD>::kM, kTile = kN * Tiles<kD>::kStride;
  bfloat16* const q_tile = dynamic_shared<bfloat16>();         // (kM, kD)
  bfloat16* const dy_tile = q_tile + kM * Tiles<kD>::kStride;  // (kM, kD)
  bfloat16* const kv_tiles =
      dy_tile + kM * Tiles<kD>::kStride;  // (2, 2, kN, kD): k and v, in use and to come
  const int D = static_cast<int>(sizes.D), Tq = static_cast<int>(sizes.Tq), Tk = static_cast<int>(sizes.Tk);
  const int H = static_cast<int>(sizes.H), group = H / static_cast<int>(sizes.G);
  const int tiles = (Tq + kM - 1) / kM, head = block / tiles, b = head / H, h = head % H, g = h / group;
  const int first = (tiles - 1 - block % tiles) * kM;  // those that see most keys start first
  const int warp_first = first + 16 * warp_id();
  const auto visible_to = [&](int query) { return sizes.causal ? std::min(Tk, query + Tk - Tq + 1) : Tk; };
  const float scale = static_cast<float>(sizes.scale);
  const auto fetch = [&](int k0, bfloat16* tile) {
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
  const int end = visible_to(first + kM - 1);
  int in_use = 0;
  for (int k0 = 0; k0 < end; k0 += kN, in_use ^= 1) {
    const bfloat16 *const k_tile = kv_tiles + in_use * 2 * kTile, *const v_tile = k_tile + kTile;
    if (k0 + kN < end) fetch(k0 + kN, kv_tiles + (in_use ^ 1) * 2 * kTile);
    cp_async_commit();

    float s[kN / 8][4] = {}, dp[kN / 8][4] = {};
    add_product_transposed<kD>(s, left_of<kD>(q_tile), k_tile);
    add_product_transposed<kD>(dp, left_of<kD>(dy_tile), v_tile);
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      const int visible = visible_to(warp_first + pair_row() + 8 * r) - k0;
#pragma unroll
      for (int n = 0; n < kN / 8; ++n) {
#pragma unroll
        for (int e = 2 * r; e < 2 * r + 2; ++e) {
          const bool seen = 8 * n + pair_column() + e % 2 < visible;
          const float p = seen ? exp2_approx(s[n][e] * (scale * kLog2E) - lse[r]) : 0;
          dp[n][e] = p * (dp[n][e] - delta[r]);
        }
      }
    }
    add_product<kN, Tiles<kD>::kStride>(sums, LeftSums(dp), k_tile);
    cp_async_wait<0>();
    __syncthreads();  // the next tiles are there for all, and all have read these before others overwrite them
  }
  store_rows(sums, {scale, scale}, dq, b, h, warp_first, sizes.Tq, D);
}

// --- dK and dV, and dQ where one block has all keys ---

// From one row of dS^T (kM keys, kN queries) to the next: stores of pairs and ldmatrix meet no bank twice.
constexpr int kWeightStride = kN + 8;

template <int kD, bool kAllKeys>
constexpr size_t kKeyBytes = sizeof(bfloat16) * ((2 * Tiles<kD>::kM + 6 * kN) * Tiles<kD>::kStride +
                                                 (kAllKeys ? Tiles<kD>::kM * kWeightStride : 0));

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

// A warp's 16 rows of dS^T, as sums of a product, to their place among all rows; the wanted blocks of 16 columns.
template <class Wanted>
__device__ inline void share_weights(const float (&ds)[kN / 8][4], bfloat16* weights, const Wanted& wanted) {
  bfloat16* const mine = weights + (16 * warp_id() + pair_row()) * kWeightStride + pair_column();
#pragma unroll
  for (int n = 0; n < kN / 8; ++n) {
    if (!wanted(n / 2)) continue;
#pragma unroll
    for (int r = 0; r < 2; ++r)
      pack_at<2>(mine + 8 * r * kWeightStride + 8 * n) =
          std::bit_cast<Pack<bfloat16, 2>>(pack_bf16(ds[n][2 * r], ds[n][2 * r + 1]));
  }
}

// dQ of kN queries from dS^T (kM, kN) and all their keys (kM, kD): a warp makes 16 queries' half of the columns.
// seen(key, query): whether one of 16 queries from there sees one of 16 keys; others' dS is not read.
template <int kD, class Seen>
__device__ inline void store_query_gradients(const bfloat16* weights, const bfloat16* k_tile, float scale,
                                             HeadRows<bfloat16> dq, int b, int h, int q0, int end, int D,
                                             const Seen& seen) {
  static_assert(kWarps == kN / 16 * 2);
  const int queries = warp_id() % 2 * 16, columns = warp_id() / 2 * (kD / 2);
  const bfloat16* const left =
      weights + (lane_id() % 8 + lane_id() / 16 * 8) * kWeightStride + queries + lane_id() / 8 % 2 * 8;
  const bfloat16* const right = k_tile + lane_id() % 16 * Tiles<kD>::kStride + columns + lane_id() / 16 * 8;
  float sums[kD / 16][4] = {};
#pragma unroll
  for (int k = 0; k < Tiles<kD>::kM; k += 16) {
    if (!seen(k, q0 + queries)) continue;
    uint32_t a[4], b[4];
    ldmatrix_x4_transposed(a, left + k * kWeightStride);
#pragma unroll
    for (int n = 0; n < kD / 16; n += 2) {
      ldmatrix_x4_transposed(b, right + k * Tiles<kD>::kStride + 8 * n);
      mma_m16n8k16(sums[n], a, b[0], b[1]);
      mma_m16n8k16(sums[n + 1], a, b[2], b[3]);
    }
  }
  dq.data += columns;
  store_rows(sums, {scale, scale}, dq, b, h, q0 + queries, end, D - columns);
}

template <int kD, bool kAllKeys>
__device__ inline void key_gradients(int block, const AttentionSizes& sizes, const Inputs& in,
                                     const HeadRows<bfloat16>& dq, const HeadRows<bfloat16>& dk,
                                     const HeadRows<bfloat16>& dv) {
  constexpr int kM = Tiles<kD>::kM, kTile = kN * Tiles<kD>::kStride;
  GALVAN_SHARED(float[2][kN], shared_lse);  // in use and to come
  GALVAN_SHARED(float[kN], delta);
  bfloat16* const k_tile = dynamic_shared<bfloat16>();        // (kM, kD)
  bfloat16* const v_tile = k_tile + kM * Tiles<kD>::kStride;  // (kM, kD)
  bfloat16* const q_tiles =
      v_tile + kM * Tiles<kD>::kStride;               // (2, 3, kN, kD): q, dy and y, in use and to come
  bfloat16* const weights = q_tiles + 2 * 3 * kTile;  // (kM, kN) with kAllKeys: dS^T
  const int tiles = kAllKeys ? 1 : static_cast<int>((sizes.Tk + kM - 1) / kM);
  const int G = static_cast<int>(sizes.G), group = static_cast<int>(sizes.H) / G;
  const int b = block / tiles / G, g = block / tiles % G;
  const int first = block % tiles * kM, warp_first = first + 16 * warp_id();
  const int D = static_cast<int>(sizes.D), Tq = static_cast<int>(sizes.Tq), Tk = static_cast<int>(sizes.Tk);
  const float scale = static_cast<float>(sizes.scale);

  // The queries that see a key of the tile, of each head that shares it.
  const int older = Tk - Tq;  // query t stands at key t + older
  const int begin = !kAllKeys && sizes.causal && first > older ? first - older : 0;
  const int steps = (Tq - begin + kN - 1) / kN, count = steps * group;
  const auto seen = [&](int key, int query) { return !sizes.causal || key <= query + 15 + older; };
  const auto fetch = [&](int step, int stage) {
    const int h = g * group + step / steps;
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

    // Of 16 queries that see none of a warp's keys nothing is made.
    const int q0 = begin + step % steps * kN;
    const auto wanted = [&](int block) { return seen(warp_first, q0 + 16 * block); };
    float s[kN / 8][4] = {}, dp[kN / 8][4] = {};  // (16, kN): transposed, keys by queries
    add_product_transposed<kD>(s, left_of<kD>(k_tile), q_tile, wanted);
    const int queries = Tq - q0;  // more than kN of them count as kN
#pragma unroll
    for (int n = 0; n < kN / 8; ++n) {
      if (!wanted(n / 2)) continue;
#pragma unroll
      for (int c = 0; c < 2; ++c) {
        const int query = 8 * n + pair_column() + c;
        const float shift = lse[query] * kLog2E;
#pragma unroll
        for (int r = 0; r < 2; ++r) {
          // From which query on they see this row's key. Where there is none dQ must not see it either.
          const int key = warp_first + pair_row() + 8 * r;
          const int seen_from = kAllKeys && key >= Tk ? kN : sizes.causal ? key - older - q0 : 0;
          float& p = s[n][2 * r + c];
          p = query >= seen_from && query < queries ? exp2_approx(p * (scale * kLog2E) - shift) : 0;
        }
      }
    }
    add_product<kN, Tiles<kD>::kStride>(dv_sums, LeftSums(s), dy_tile, wanted);
    add_product_transposed<kD>(dp, left_of<kD>(v_tile), dy_tile, wanted);
    __syncthreads();  // delta is written before it is read
#pragma unroll
    for (int n = 0; n < kN / 8; ++n) {
      if (!wanted(n / 2)) continue;
#pragma unroll
      for (int e = 0; e < 4; ++e) dp[n][e] = s[n][e] * (dp[n][e] - delta[8 * n + pair_column() + e % 2]);
    }
    add_product<kN, Tiles<kD>::kStride>(dk_sums, LeftSums(dp), q_tile, wanted);
    if constexpr (kAllKeys) {
      share_weights(dp, weights, wanted);
      __syncthreads();  // all rows of dS^T are there before they are read
      store_query_gradients<kD>(weights, k_tile, scale, dq, b, g * group + step / steps, q0, Tq, D, seen);
    }
    cp_async_wait<0>();
    __syncthreads();  // the next tiles are there for all, and all have read these, delta and dS^T
  }
  store_rows(dk_sums, {scale, scale}, dk, b, g, warp_first, sizes.Tk, D);
  store_rows(dv_sums, {1, 1}, dv, b, g, warp_first, sizes.Tk, D);
}

// The first blocks, which have more to do, make dK and dV, the others dQ.
template <int kD>
__device__ void flash_gradients(AttentionSizes sizes, Inputs in, HeadRows<bfloat16> dq, HeadRows<bfloat16> dk,
                                HeadRows<bfloat16> dv, unsigned key_blocks) {
  if (blockIdx.x < key_blocks) {
    key_gradients<kD, false>(static_cast<int>(blockIdx.x), sizes, in, dq, dk, dv);
  } else {
    query_gradients<kD>(static_cast<int>(blockIdx.x - key_blocks), sizes, in, dq);
  }
}

// Of keys that fit into one tile.
template <int kD>
__device__ void flash_gradients_of_few_keys(AttentionSizes sizes, Inputs in, HeadRows<bfloat16> dq,
                                            HeadRows<bfloat16> dk, HeadRows<bfloat16> dv) {
  key_gradients<kD, true>(static_cast<int>(blockIdx.x), sizes, in, dq, dk, dv);
}

}  // namespace

void attention_backward(Cuda on, const AttentionSizes& sizes, HeadRows<const bfloat16> q,
                        HeadRows<const bfloat16> k, HeadRows<const bfloat16> v, HeadRows<const bfloat16> y,
                        HeadRows<const bfloat16> dy, const float* lse, HeadRows<bfloat16> dq,
                        HeadRows<bfloat16> dk, HeadRows<bfloat16> dv) {
  const Inputs in{q, k, v, y, dy, lse};
  attention_tiles::with_padded_head(sizes.D, [&]<int kD>() {
    constexpr int kM = Tiles<kD>::kM;
    // As many blocks as a multiprocessor has registers for. Replicas' arguments leave too few for the largest heads:
    // these take turns.
    constexpr auto kBody = [](int replica_blocks) {
      return Body{.threads = kThreads,
                  .blocks = kD <= 32   ? 4
                            : kD <= 64 ? 3
                                       : 2,
                  .replicas = kD <= 64,
                  .replica_blocks = kD <= 32 ? replica_blocks : 2};
    };
    const auto blocks = [](int64_t heads, int64_t rows) {
      return static_cast<unsigned>(heads * ((rows + kM - 1) / kM));
    };
    const unsigned of_keys = blocks(sizes.B * sizes.G, sizes.Tk),
                   of_queries = blocks(sizes.B * sizes.H, sizes.Tq);
    if (of_keys > 0 && sizes.Tk <= kM) {
      launch_body<flash_gradients_of_few_keys<kD>, kBody(4)>(of_keys, kThreads, kKeyBytes<kD, true>,
                                                             on.stream, sizes, in, dq, dk, dv);
    } else if (of_keys + of_queries > 0) {
      launch_body<flash_gradients<kD>, kBody(3)>(of_keys + of_queries, kThreads,
                                                 std::max(kKeyBytes<kD, false>, kQueryBytes<kD>), on.stream,
                                                 sizes, in, dq, dk, dv, of_keys);
    }
  });
}

}  // namespace galvan::flash
