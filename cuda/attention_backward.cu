// Attention, backward: by FMAs, for every dtype and head size. bfloat16 in aligned rows is for flash_backward.cu.
// P and dS are made again from lse, tile by tile.
//   P = exp(S - lse), S = scale Q K^T + mask        dP = dO V^T        dS = P (dP - delta)
//   dV = P^T dO        dQ = scale dS K        dK = scale dS^T Q        delta[t] = <dO[t], O[t]>
// Shapes   q, y, dy, dq: [B, H, Tq, D]; k, v, dk, dv: [B, G, Tk, D], of H / G heads each; lse: [B, H, Tq]
// Memory   two launches: q, k, v, y, dy, lse and dq once; then the same and dk, dv. Asked for, from L2: k and
//          v by every kM queries of a head, and dy twice; then q, y, lse and dy (twice) by every kM keys
// Compute  14 B H Tq Tk D FLOPs in Acc<T>, half of that when causal: S and dP are made twice, since dQ sums over
//          keys and dK and dV over queries, each in one block's order, without atomics
// Launch   16 x 16 threads for kM queries of a head; then for kM keys of a key/value head (cuda/attention.h)
#include "core/kernels.h"
#include "core/math.h"
#include "cuda/attention.h"
#include "cuda/flash.h"

namespace galvan {
namespace {

using namespace attention_tiles;

template <class T>
struct Inputs {
  HeadRows<const T> q, k, v, y, dy;
  const Acc<T>* lse;
};

template <class T, int kD>
constexpr size_t kSharedBytes = [] {
  using Sizes = Tiles<Acc<T>, kD>;
  return sizeof(Acc<T>) * (2 * (Sizes::kM + Sizes::kN) * Sizes::kStride + Sizes::kM * Sizes::kWeightStride);
}();

// <dy, y> of a row that 16 threads share; 0 from row Tq on.
template <class T>
__device__ inline Acc<T> row_delta(const AttentionSizes& sizes, const Inputs<T>& in, int64_t b, int64_t h,
                                   int64_t row) {
  Acc<T> sum = 0;
  if (row < sizes.Tq) {
    const T *y = in.y.at(b, h, row), *dy = in.dy.at(b, h, row);
    for (int64_t d = tx(); d < sizes.D; d += kSide) sum += Acc<T>(dy[d]) * Acc<T>(y[d]);
  }
  return row_sum(sum);
}

template <class T, int kD>
__global__ void __launch_bounds__(kThreads, 2)
    attention_query_gradients(AttentionSizes sizes, bool whole, Inputs<T> in, HeadRows<T> dq) {
  using A = Acc<T>;
  using Sizes = Tiles<A, kD>;
  constexpr int kM = Sizes::kM, kN = Sizes::kN, kI = Sizes::kI, kJ = Sizes::kJ;
  A* const q_tile = dynamic_shared<A>();            // (kM, kD)
  A* const dy_tile = q_tile + kM * Sizes::kStride;  // (kM, kD)
  A* const k_tile = dy_tile + kM * Sizes::kStride;  // (kN, kD)
  A* const v_tile = k_tile + kN * Sizes::kStride;   // (kN, kD)
  A* const weights = v_tile + kN * Sizes::kStride;  // (kM, kN): dS
  const int64_t tiles = (sizes.Tq + kM - 1) / kM, head = blockIdx.x / tiles;
  const int64_t b = head / sizes.H, h = head % sizes.H, g = h / (sizes.H / sizes.G);
  const int64_t first = (tiles - 1 - blockIdx.x % tiles) * kM;  // those that see most keys start first
  const int D = static_cast<int>(sizes.D);
  const A scale = static_cast<A>(sizes.scale);

  load_tile<kD>(in.q, b, h, first, kM, sizes.Tq, D, whole, q_tile);
  load_tile<kD>(in.dy, b, h, first, kM, sizes.Tq, D, whole, dy_tile);
  A lse[kI], delta[kI];
#pragma unroll
  for (int i = 0; i < kI; ++i) {
    const int64_t row = first + ty() + kSide * i;
    lse[i] = row < sizes.Tq ? in.lse[head * sizes.Tq + row] : A(0);
    delta[i] = row_delta(sizes, in, b, h, row);
  }

  RowParts<A, kD> sum;
  const int64_t end = smaller(sizes.Tk, sizes.visible(first + kM - 1));
  for (int64_t k0 = 0; k0 < end; k0 += kN) {
    __syncthreads();  // all have read the last tiles before they are overwritten
    load_tile<kD>(in.k, b, g, k0, kN, sizes.Tk, D, whole, k_tile);
    load_tile<kD>(in.v, b, g, k0, kN, sizes.Tk, D, whole, v_tile);
    __syncthreads();  // the tiles are there before they are read
    A s[kI][kJ], dp[kI][kJ];
    products<kD>(q_tile, k_tile, s);
    products<kD>(dy_tile, v_tile, dp);
#pragma unroll
    for (int i = 0; i < kI; ++i) {
      const int64_t visible = smaller(sizes.Tk, sizes.visible(first + ty() + kSide * i)) - k0;
#pragma unroll
      for (int j = 0; j < kJ; ++j) {
        const A p = tx() + kSide * j < visible ? math::exp(s[i][j] * scale - lse[i]) : A(0);
        dp[i][j] = p * (dp[i][j] - delta[i]);
      }
    }
    share_weights<kD>(dp, weights);
    sum.add_product(weights, k_tile);
  }
#pragma unroll
  for (int i = 0; i < kI; ++i) sum.scale(i, scale);
  sum.store(dq, b, h, first, sizes.Tq, D, whole);
}

template <class T, int kD>
__global__ void __launch_bounds__(kThreads, 2)
    attention_key_gradients(AttentionSizes sizes, bool whole, Inputs<T> in, HeadRows<T> dk, HeadRows<T> dv) {
  using A = Acc<T>;
  using Sizes = Tiles<A, kD>;
  constexpr int kM = Sizes::kM, kN = Sizes::kN, kI = Sizes::kI, kJ = Sizes::kJ;
  GALVAN_SHARED(A[kN], lse);
  GALVAN_SHARED(A[kN], delta);
  A* const k_tile = dynamic_shared<A>();             // (kM, kD)
  A* const v_tile = k_tile + kM * Sizes::kStride;    // (kM, kD)
  A* const q_tile = v_tile + kM * Sizes::kStride;    // (kN, kD)
  A* const dy_tile = q_tile + kN * Sizes::kStride;   // (kN, kD)
  A* const weights = dy_tile + kN * Sizes::kStride;  // (kM, kN): P^T, then dS^T
  const int64_t tiles = (sizes.Tk + kM - 1) / kM, group = sizes.H / sizes.G;
  const int64_t b = blockIdx.x / tiles / sizes.G, g = blockIdx.x / tiles % sizes.G;
  const int64_t first = blockIdx.x % tiles * kM;
  const int D = static_cast<int>(sizes.D);
  const A scale = static_cast<A>(sizes.scale);

  load_tile<kD>(in.k, b, g, first, kM, sizes.Tk, D, whole, k_tile);
  load_tile<kD>(in.v, b, g, first, kM, sizes.Tk, D, whole, v_tile);
  RowParts<A, kD> dk_sum, dv_sum;
  // The first query that sees key `first`.
  const int64_t begin = sizes.causal && first > sizes.Tk - sizes.Tq ? first - (sizes.Tk - sizes.Tq) : 0;
  for (int64_t h = g * group; h < (g + 1) * group; ++h) {
    for (int64_t q0 = begin; q0 < sizes.Tq; q0 += kN) {
      __syncthreads();  // all have read the last tiles, lse and delta before they are overwritten
      load_tile<kD>(in.q, b, h, q0, kN, sizes.Tq, D, whole, q_tile);
      load_tile<kD>(in.dy, b, h, q0, kN, sizes.Tq, D, whole, dy_tile);
#pragma unroll
      for (int j = 0; j < kJ; ++j) {
        const int at = ty() + kSide * j;
        const A value = row_delta(sizes, in, b, h, q0 + at);
        if (tx() == 0) {
          delta[at] = value;
          lse[at] = q0 + at < sizes.Tq ? in.lse[(b * sizes.H + h) * sizes.Tq + q0 + at] : A(0);
        }
      }
      __syncthreads();  // tiles, lse and delta are there before they are read
      A s[kI][kJ], dp[kI][kJ];
      products<kD>(k_tile, q_tile, s);
#pragma unroll
      for (int j = 0; j < kJ; ++j) {
        const int at = tx() + kSide * j;
        const int64_t visible = q0 + at < sizes.Tq ? sizes.visible(q0 + at) - first : 0;
#pragma unroll
        for (int i = 0; i < kI; ++i)
          s[i][j] = ty() + kSide * i < visible ? math::exp(s[i][j] * scale - lse[at]) : A(0);
      }
      share_weights<kD>(s, weights);
      dv_sum.add_product(weights, dy_tile);

      products<kD>(v_tile, dy_tile, dp);
#pragma unroll
      for (int i = 0; i < kI; ++i)
#pragma unroll
        for (int j = 0; j < kJ; ++j) dp[i][j] = s[i][j] * (dp[i][j] - delta[tx() + kSide * j]);
      __syncwarp();  // the half warp has read P^T before dS^T takes its place
      share_weights<kD>(dp, weights);
      dk_sum.add_product(weights, q_tile);
    }
  }
#pragma unroll
  for (int i = 0; i < kI; ++i) dk_sum.scale(i, scale);
  dk_sum.store(dk, b, g, first, sizes.Tk, D, whole);
  dv_sum.store(dv, b, g, first, sizes.Tk, D, whole);
}

}  // namespace

template <class T>
void attention_backward(Cuda on, const AttentionSizes& sizes, HeadRows<const T> q, HeadRows<const T> k,
                        HeadRows<const T> v, HeadRows<const T> y, HeadRows<const T> dy, const Acc<T>* lse,
                        HeadRows<T> dq, HeadRows<T> dk, HeadRows<T> dv) {
  const bool whole =
      rows_are_whole<T>(sizes.D, {q, k, v, y, dy, read_only(dq), read_only(dk), read_only(dv)});
  if constexpr (std::is_same_v<T, bfloat16>)
    if (on_tensor_cores() && flash::takes(sizes.D, whole))
      return flash::attention_backward(on, sizes, q, k, v, y, dy, lse, dq, dk, dv);
  const Inputs<T> in{q, k, v, y, dy, lse};
  with_padded_head(sizes.D, [&]<int kD>() {
    const auto blocks = [](int64_t heads, int64_t rows) {
      constexpr int kM = Tiles<Acc<T>, kD>::kM;
      return static_cast<unsigned>(heads * ((rows + kM - 1) / kM));
    };
    if (const unsigned n = blocks(sizes.B * sizes.H, sizes.Tq))
      launch<attention_query_gradients<T, kD>>(n, kThreads, kSharedBytes<T, kD>, on.stream, sizes, whole, in,
                                               dq);
    if (const unsigned n = blocks(sizes.B * sizes.G, sizes.Tk))
      launch<attention_key_gradients<T, kD>>(n, kThreads, kSharedBytes<T, kD>, on.stream, sizes, whole, in,
                                             dk, dv);
  });
}

#define GALVAN_ATTENTION(T)                                                                                \
  template void attention_backward(Cuda, const AttentionSizes&, HeadRows<const T>, HeadRows<const T>,      \
                                   HeadRows<const T>, HeadRows<const T>, HeadRows<const T>, const Acc<T>*, \
                                   HeadRows<T>, HeadRows<T>, HeadRows<T>);
GALVAN_ATTENTION(float)
GALVAN_ATTENTION(double)
GALVAN_ATTENTION(bfloat16)

}  // namespace galvan
