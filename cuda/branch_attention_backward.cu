// Gradients of attention's branch (branch_attention_forward.cu), but those of its weights, as one kernel:
//   ds through the norm (core/branch.h)        dy = ds Wout        dqkv by attention's backward        dx = dqkv Wqkv
//   P = exp(scale Q K^T - lse)        dV = P^T dY        dS = P (dY V^T - rowsum(dY Y))        dQ = scale dS K
//   dK = scale dS^T Q                 (Dao et al., arXiv:2205.14135, algorithm 4, with all of a sequence at hand)
// and the sums over the rows that are the gradients of biases and of the norm's parameters, for each sequence by itself.
// Shapes   dsum, dnormed, s, ds, y, dx [B, T, C]; qkv, dqkv [B, T, 3 C]; Wqkv [3 C, C], Wout [C, C]; mean, rstd [N] and
//          lse [B, H, T] in f32; partial [B, 6 C] in f32; T at most kRows = 64, C = H D, D = kD
// Memory   dsum, dnormed, s, qkv, y, lse and the weights once; ds, dqkv, dx and partial once. Asked for, from L2: the weights
//          by every sequence
// Compute  8 B T C^2 FLOPs, and 5 B T^2 C for attention
// Launch   8 warps for a sequence: four by its rows, 16 a warp, of which there are two, that share columns, or take a
//          head each; through chunks of kChunk columns of Wout and kChunk rows of Wqkv
#include "cuda/branch.h"

namespace galvan::branch {
namespace {

constexpr int kWarps = 8, kThreads = kWarps * 32, kGroups = 2;
constexpr int kD = kHeadSize, kQueries = 32;  // so many queries at a time

template <int kC>
struct Shared {
  static constexpr int kStride = kStrideOf<kC>, kWideStride = kStrideOf<3 * kC>;
  static constexpr int kQueryStride = kStrideOf<kQueries>, kHeads = kC / kD;
  static_assert(kHeads % kGroups == 0);
  bfloat16 rows[kRows * kWideStride];           // qkv, then dqkv
  bfloat16 dy[kRows * kStride];                 // ds, then dy, then dx
  bfloat16 weights[2][kC * kStrideOf<kChunk>];  // of Wout columns, of Wqkv rows: in use and to come
  union {
    float of_warps[kWarps * 3 * kC];  // sums of the norm's, which are done with before the others come
    struct {
      bfloat16 ds[kGroups][kRows * kQueryStride];  // dS^T: keys by queries
      float lse[kHeads][kRows], delta[kHeads][kRows];
    };
  };
};

// dq, dk and dv of head h in the place of q, k and v, by a group of four warps, 16 keys each; all groups come together.
template <int kC>
__device__ inline void head_gradients(Shared<kC>& shared, int group, int h, int T) {
  constexpr int kStride = Shared<kC>::kStride, kWideStride = Shared<kC>::kWideStride;
  constexpr int kQueryStride = Shared<kC>::kQueryStride, kSteps = kRows / kQueries;
  bfloat16 *const q = shared.rows + h * kD, *const k = q + kC, *const v = k + kC;
  bfloat16* const weights = shared.ds[group];
  const bfloat16* const dy = shared.dy + h * kD;
  const int warp = warp_id() % 4, own = 16 * warp;                   // keys
  const int queries = warp % 2 * 16, columns = warp / 2 * (kD / 2);  // of dq, that the warp makes
  float dk[kD / 8][4] = {}, dv[kD / 8][4] = {}, dq[kSteps][kD / 16][4] = {};
#pragma unroll
  for (int step = 0; step < kSteps; ++step) {
    const int q0 = step * kQueries;
    const auto wanted = [own, q0](int block) { return own <= q0 + 16 * block + 15; };
    float s[kQueries / 8][4] = {}, ds[kQueries / 8][4] = {};  // transposed: keys by queries
    add_product_transposed<kD, kWideStride>(s, LeftRows<kWideStride>{k + own * kWideStride},
                                            q + q0 * kWideStride, wanted);
#pragma unroll
    for (int n = 0; n < kQueries / 8; ++n) {
#pragma unroll
      for (int e = 0; e < 4; ++e) {
        const int query = q0 + 8 * n + pair_column() + e % 2, key = own + pair_row() + e / 2 * 8;
        const bool seen = query >= key && query < T;
        s[n][e] = seen ? exp2_approx(s[n][e] * (kScale * kLog2E) - shared.lse[h][query] * kLog2E) : 0;
      }
    }
    add_product<kQueries, kStride>(dv, LeftSums(s), dy + q0 * kStride, wanted);
    add_product_transposed<kD, kStride>(ds, LeftRows<kWideStride>{v + own * kWideStride}, dy + q0 * kStride,
                                        wanted);
#pragma unroll
    for (int n = 0; n < kQueries / 8; ++n) {
#pragma unroll
      for (int e = 0; e < 4; ++e)
        ds[n][e] = s[n][e] * (ds[n][e] - shared.delta[h][q0 + 8 * n + pair_column() + e % 2]);
    }
    add_product<kQueries, kWideStride>(dk, LeftSums(ds), q + q0 * kWideStride, wanted);
    if (step > 0) __syncthreads();  // the last queries' dS^T has been read before it is overwritten
    store_sums<kQueryStride>(ds, weights + own * kQueryStride);
    __syncthreads();  // all rows of dS^T are there before they are read
    const bfloat16* const left =
        weights + (lane_id() % 8 + lane_id() / 16 * 8) * kQueryStride + queries + lane_id() / 8 % 2 * 8;
    add_product<kRows, kWideStride>(
        dq[step], [left](uint32_t(&a)[4], int i) { ldmatrix_x4_transposed(a, left + 16 * i * kQueryStride); },
        k + columns, [&](int block) { return 16 * block <= q0 + queries + 15; });
  }
#pragma unroll
  for (int n = 0; n < kD / 8; ++n) {
#pragma unroll
    for (int e = 0; e < 4; ++e) dk[n][e] *= kScale;
  }
  __syncthreads();  // all have read q, k and v before their gradients take their place
  store_sums<kWideStride>(dk, k + own * kWideStride);
  store_sums<kWideStride>(dv, v + own * kWideStride);
#pragma unroll
  for (int step = 0; step < kSteps; ++step) {
#pragma unroll
    for (int n = 0; n < kD / 16; ++n) {
#pragma unroll
      for (int e = 0; e < 4; ++e) dq[step][n][e] *= kScale;
    }
    store_sums<kWideStride>(dq[step], q + (step * kQueries + queries) * kWideStride + columns);
  }
}

template <int kC>
__device__ void attention_sequence_gradients(const AttentionBackward& p) {
  using Tiles = Shared<kC>;
  constexpr int kStride = Tiles::kStride, kWideStride = Tiles::kWideStride, kHeads = Tiles::kHeads;
  constexpr int kChunks = kC / kChunk, kAllChunks = 4 * kC / kChunk;  // of Wout, and of Wqkv behind them
  Tiles& shared = *dynamic_shared<Tiles>();
  const int T = static_cast<int>(p.length), group = warp_id() / 4, own = warp_id() % 4 * 16;
  const int thread = static_cast<int>(threadIdx.x);
  const int64_t first = int64_t{blockIdx.x} * T;
  float* const partial = p.sums.partial + int64_t{blockIdx.x} * (6 * kC);
  const auto fetch_weights = [&](int i) {
    bfloat16* const to = shared.weights[i % 2];
    if (i < kChunks) {
      fetch_tile<kC, kChunk, kStrideOf<kChunk>, kThreads>(p.out_weight + i * kChunk, kC, kC, kChunk, to);
    } else {
      fetch_tile<kChunk, kC, kStride, kThreads>(p.qkv_weight + (i - kChunks) * kChunk * kC, kC, kChunk, kC,
                                                to);
    }
    cp_async_commit();
  };
  const auto next_weights = [&](int i) {
    cp_async_wait<0>();
    __syncthreads();  // these weights are there for all, and all have done with those that are fetched now
    if (i + 1 < kAllChunks) fetch_weights(i + 1);
    return shared.weights[i % 2];
  };

#pragma unroll
  for (int i = 0; i < 3; ++i)
    fetch_tile<kRows, kC, kWideStride, kThreads>(p.qkv + first * 3 * kC + i * kC, 3 * kC, T, kC,
                                                 shared.rows + i * kC);
  fetch_weights(0);
  begin_backward<kC, kStride, kWarps>(p.end, first, T, shared.dy, shared.of_warps);
  __syncthreads();  // ds and the warps' sums are there before they are read
  store_sums_of_warps<kC, kWarps>(shared.of_warps, partial);
  {
    const KeptLeft<kC> ds(LeftRows<kStride>{shared.dy + own * kStride});
    for (int i = 0; i < kChunks; ++i) {
      const bfloat16* const weights = next_weights(i);  // all have ds in registers before dy takes its place
      float sums[2][4] = {};
      add_product<kC, kStrideOf<kChunk>>(sums, ds, weights + group * (kChunk / kGroups));
      store_sums<kStride>(sums, shared.dy + own * kStride + i * kChunk + group * (kChunk / kGroups));
    }
  }
  __syncthreads();  // dy is there before it is read
  for (int i = thread; i < kHeads * kRows; i += kThreads) {
    const int row = i / kHeads, h = i % kHeads;
    float lse = 0, delta = 0;
    if (row < T) {
      lse = p.lse[(int64_t{blockIdx.x} * kHeads + h) * T + row];
#pragma unroll
      for (int d = h * kD; d < (h + 1) * kD; d += 8) {
        const Wide<bfloat16> dy = widened<bfloat16>(load_raw<true>(shared.dy + row * kStride, d, kC)),
                             y = widened<bfloat16>(load_raw<true>(p.y + (first + row) * kC, d, kC));
#pragma unroll
        for (int e = 0; e < 8; ++e) delta += dy.at[e] * y.at[e];
      }
    }
    shared.lse[h][row] = lse;
    shared.delta[h][row] = delta;
  }
  __syncthreads();  // lse and delta are there before they are read
#pragma unroll 1
  for (int h = group; h < kHeads; h += kGroups) head_gradients<kC>(shared, group, h, T);
  __syncthreads();  // all of dqkv is there before it is read

  constexpr int kOwnRows = kRows / kWarps;
  copy_rows<kOwnRows, 3 * kC, kWideStride>(shared.rows + warp_id() * kOwnRows * kWideStride,
                                           p.dqkv + (first + warp_id() * kOwnRows) * 3 * kC, 3 * kC,
                                           T - warp_id() * kOwnRows);
  for (int c = warp_id() * 16; c < 3 * kC; c += kWarps * 16)
    sum_columns<kRows, kWideStride>(shared.rows + c, partial + 3 * kC + c);
  const int column = group * (kC / kGroups);
  float dx[kC / kGroups / 8][4] = {};
  for (int i = kChunks; i < kAllChunks; ++i) {
    const bfloat16* const weights = next_weights(i);
    add_product<kChunk, kStride>(
        dx, LeftRows<kWideStride>{shared.rows + own * kWideStride + (i - kChunks) * kChunk},
        weights + column);
  }
  bfloat16* const dx_rows = shared.dy + own * kStride + column;
  store_sums<kStride>(dx, dx_rows);
  __syncwarp();  // the warp's part of dx is whole before it is stored
  copy_rows<16, kC / kGroups, kStride>(dx_rows, p.dx + (first + own) * kC + column, kC, T - own);
}

template <int kC>
void launch_sequences(Cuda on, const AttentionBackward& p) {
  launch_body<attention_sequence_gradients<kC>, Body{.threads = kThreads, .blocks = 2}>(
      static_cast<unsigned>(p.batch), kThreads, sizeof(Shared<kC>), on.stream, p);
}

}  // namespace

void attention_backward(Cuda on, const AttentionBackward& p) {
  if (p.batch > 0) p.columns == 64 ? launch_sequences<64>(on, p) : launch_sequences<128>(on, p);
  add_partial_sums(on, p.sums, attention_blocks(p.batch), p.columns, 3 * p.columns);
}

}  // namespace galvan::branch
