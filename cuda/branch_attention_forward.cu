// Attention's branch of a transformer's block, with the addition and the norm behind it, as one kernel (core/branch.h):
//   qkv = x Wqkv^T + bqkv        y = softmax(scale Q K^T + mask) V        s = y Wout^T + bout + residual
//   normed = layer_norm(s)       lse[t] = ln sum_j exp(S[t, j])
// Causal, scale = 1 / sqrt(D). A sequence is short enough for all its scores to be there at once: no running maximum.
// Products are of bfloat16 with sums in f32; P is rounded to bfloat16 before it meets V. Exponentials are to base 2, of
// scores times log2 e.
// Shapes   x, residual, y, s, normed [B, T, C]; qkv [B, T, 3 C]; Wqkv [3 C, C], Wout [C, C]; lse [B, H, T]; T at most
//          kRows = 64, C = H D, D = kD
// Memory   x, residual and the weights once; qkv, y, lse, s and normed once. Asked for, from L2: the weights by every
//          sequence, biases and the norm's parameters by every warp
// Compute  8 B T C^2 FLOPs, and 2 B T^2 C for attention
// Launch   4 warps for a sequence, 16 rows a warp, through chunks of kChunk rows of Wqkv and kChunk columns of Wout
#include <cmath>

#include "core/variants.h"
#include "cuda/branch.h"

namespace galvan::branch {
namespace {

Variants variants("attention_branch", "cuda",
                  {{"one_kernel", "cuda/branch_attention_forward.cu"}, {"composed", "core/ops/branch.cpp"}},
                  Passes::both);

constexpr int kWarps = 4, kThreads = kWarps * 32;
constexpr int kD = kHeadSize;

template <int kC>
struct Shared {
  static constexpr int kStride = kStrideOf<kC>, kWideStride = kStrideOf<3 * kC>;
  // x, then qkv, of which y takes q's place, and the residual, then s, take k's.
  bfloat16 rows[kRows * kWideStride];
  bfloat16 weights[2][kC * kStrideOf<kChunk>];  // of Wqkv rows, of Wout columns: in use and to come
};

// A head's 16 queries from `first` on, each of which sees the keys up to its own: y in the place of q. `head` is q's column
// in the first row, k's and v's lie kC and 2 kC further on; lse is the head's.
template <int kC>
__device__ inline void attend(bfloat16* head, int first, int length, float* lse) {
  constexpr int kStride = Shared<kC>::kWideStride;
  const auto seen = [first](int block) { return 16 * block <= first; };
  bfloat16* const queries = head + first * kStride;
  float s[kRows / 8][4] = {}, y[kD / 8][4] = {}, inverse[2];
  add_product_transposed<kD, kStride>(s, LeftRows<kStride>{queries}, head + kC, seen);
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const int query = first + pair_row() + 8 * half;
    float largest = -INFINITY, sum = 0;
#pragma unroll
    for (int n = 0; n < kRows / 8; ++n) {
      if (!seen(n / 2)) continue;
#pragma unroll
      for (int e = 2 * half; e < 2 * half + 2; ++e) {
        s[n][e] = 8 * n + pair_column() + e % 2 <= query ? s[n][e] * (kScale * kLog2E) : -INFINITY;
        largest = fmaxf(largest, s[n][e]);
      }
    }
    largest = row_max(largest);
#pragma unroll
    for (int n = 0; n < kRows / 8; ++n) {
      if (!seen(n / 2)) continue;
#pragma unroll
      for (int e = 2 * half; e < 2 * half + 2; ++e) sum += s[n][e] = exp2_approx(s[n][e] - largest);
    }
    sum = row_sum(sum);
    inverse[half] = 1 / sum;
    if (pair_column() == 0 && query < length) lse[query] = largest * kLn2 + std::log(sum);
  }
  add_product<kRows, kStride>(y, LeftSums(s), head + 2 * kC, seen);
#pragma unroll
  for (int n = 0; n < kD / 8; ++n) {
#pragma unroll
    for (int e = 0; e < 4; ++e) y[n][e] *= inverse[e / 2];
  }
  __syncwarp();  // all lanes have read q, here and to store it, before y takes its place
  store_sums<kStride>(y, queries);
}

template <int kC>
__device__ void attention_sequence(const AttentionForward& p) {
  using Tiles = Shared<kC>;
  constexpr int kStride = Tiles::kStride, kWideStride = Tiles::kWideStride, kHeads = kC / kD;
  constexpr int kChunks = 3 * kC / kChunk, kAllChunks = 4 * kC / kChunk;  // of Wqkv, and of Wout behind them
  Tiles& shared = *dynamic_shared<Tiles>();
  const int T = static_cast<int>(p.length), own = warp_id() * 16, rows = T - own;
  const int64_t block_first = int64_t{blockIdx.x} * T, first = block_first + own;
  const auto fetch_weights = [&](int i) {
    bfloat16* const to = shared.weights[i % 2];
    if (i < kChunks) {
      fetch_tile<kChunk, kC, kStride, kThreads>(p.qkv_weight + i * kChunk * kC, kC, kChunk, kC, to);
    } else {
      fetch_tile<kC, kChunk, kStrideOf<kChunk>, kThreads>(p.out_weight + (i - kChunks) * kChunk, kC, kC,
                                                          kChunk, to);
    }
  };
  const auto next_weights = [&](int i) {
    cp_async_wait<0>();
    __syncthreads();  // these weights are there for all, and all have done with those that are fetched now
    if (i + 1 < kAllChunks) fetch_weights(i + 1);
    cp_async_commit();
    return shared.weights[i % 2];
  };

  fetch_tile<kRows, kC, kStride, kThreads>(p.x + block_first * kC, kC, T, kC, shared.rows);
  fetch_weights(0);
  cp_async_commit();
  cp_async_wait<0>();
  __syncthreads();  // x is there for all
  const KeptLeft<kC> x(LeftRows<kStride>{shared.rows + own * kStride});
  bfloat16* const own_rows = shared.rows + own * kWideStride;
  for (int i = 0; i < kChunks; ++i) {
    const bfloat16* const weights = next_weights(i);  // all have x in registers before qkv takes its place
    const Bias<kChunk / 8> bias(p.qkv_bias ? p.qkv_bias + i * kChunk : nullptr);
    float sums[kChunk / 8][4] = {};
    add_product_transposed<kC>(sums, x, weights);
    bias.add_to(sums);
    store_sums<kWideStride>(sums, own_rows + i * kChunk);
  }
  __syncthreads();  // all keys and values are there before they are read
  copy_rows<16, 3 * kC, kWideStride>(own_rows, p.qkv + first * 3 * kC, 3 * kC, rows);
#pragma unroll 1
  for (int h = 0; h < kHeads; ++h)
    attend<kC>(shared.rows + h * kD, own, T, p.lse + (int64_t{blockIdx.x} * kHeads + h) * T);
  __syncwarp();  // the rows of y are whole before they are read
  copy_rows<16, kC, kWideStride>(own_rows, p.y + first * kC, kC, rows);

  float sums[kC / 8][4] = {};
  Bias<kC / 8>(p.end.bias).add_to(sums);
  for (int i = 0; i < kC / kChunk; ++i) {
    const bfloat16* const weights = next_weights(kChunks + i);
    if (i == 0) {  // all have done with the keys
      fetch_tile<kRows, kC, kWideStride, kThreads>(p.end.residual + block_first * kC, kC, T, kC,
                                                   shared.rows + kC);
      cp_async_commit();
    }
    add_product_transposed<kChunk>(sums, LeftRows<kWideStride>{own_rows + i * kChunk}, weights);
  }
  // The residual has been there for all since the second chunk.
  end_branch<kC, kWideStride>(p.end, sums, own_rows + kC, first, rows);
}

template <int kC>
void launch_sequences(Cuda on, const AttentionForward& p) {
  launch_body<attention_sequence<kC>, Body{.threads = kThreads, .blocks = 3}>(
      static_cast<unsigned>(p.batch), kThreads, sizeof(Shared<kC>), on.stream, p);
}

}  // namespace

bool takes_attention(int64_t length, int64_t heads, int64_t columns) {
  return variants.chosen() == 0 && length > kRows / 2 && length <= kRows &&
         (columns == 64 || columns == 128) && heads * kD == columns;
}

int64_t attention_blocks(int64_t batch) { return batch; }

void attention_forward(Cuda on, const AttentionForward& p) {
  if (p.batch == 0) return;
  p.columns == 64 ? launch_sequences<64>(on, p) : launch_sequences<128>(on, p);
}

}  // namespace galvan::branch
