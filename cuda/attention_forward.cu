// Attention, forward: flash attention by FMAs, for every dtype and head size. bfloat16 in aligned rows is for
// flash_forward.cu.
//   S = scale Q K^T + mask        O = softmax(S) V        lse[t] = ln sum_j exp(S[t, j])
// A block goes through the keys tile by tile. It does not know the maximum of a row before the last of them: it
// keeps the largest score m so far and the sum l of exp(S - m), and scales O and l by exp(m - m') when m grows
// to m' (Dao et al., arXiv:2205.14135, section 3.1).
// Shapes   q, y: [B, H, Tq, D]; k, v: [B, G, Tk, D], head h reads k and v of head h G / H; lse: [B, H, Tq]
// Memory   q, k, v, y and lse once; asked for are k and v by every kM queries of a head, from L2; T x T
//          scores are never stored
// Compute  4 B H Tq Tk D FLOPs in Acc<T>, half of that when causal
// Ladder   cuda/ladder/README.md: the third rung of four
// Launch   16 x 16 threads for kM queries of a head (cuda/attention.h)
#include "core/kernels.h"
#include "core/math.h"
#include "core/variants.h"
#include "cuda/attention.h"
#include "cuda/flash.h"
#include "cuda/ladder/attention.h"

namespace galvan {
namespace {

using namespace attention_tiles;

Variants variants("attention", "cuda",
                  {{"flash", "cuda/flash_forward.cu"},
                   {"three_pass", "cuda/ladder/attention_1_three_pass.cu"},
                   {"online", "cuda/ladder/attention_2_online.cu"},
                   {"flash_fma", "cuda/attention_forward.cu"}},
                  Passes::both);

template <class T, int kD>
constexpr size_t kSharedBytes = [] {
  using Sizes = Tiles<Acc<T>, kD>;
  return sizeof(Acc<T>) * ((Sizes::kM + 2 * Sizes::kN) * Sizes::kStride + Sizes::kM * Sizes::kWeightStride);
}();

template <class T, int kD>
__global__ void __launch_bounds__(kThreads)
    attention_queries(AttentionSizes sizes, bool whole, HeadRows<const T> q, HeadRows<const T> k,
                      HeadRows<const T> v, HeadRows<T> y, Acc<T>* lse) {
  using A = Acc<T>;
  using Sizes = Tiles<A, kD>;
  constexpr int kM = Sizes::kM, kN = Sizes::kN, kI = Sizes::kI, kJ = Sizes::kJ;
  A* const q_tile = dynamic_shared<A>();            // (kM, kD)
  A* const k_tile = q_tile + kM * Sizes::kStride;   // (kN, kD)
  A* const v_tile = k_tile + kN * Sizes::kStride;   // (kN, kD)
  A* const weights = v_tile + kN * Sizes::kStride;  // (kM, kN): exp(S - m)
  const int64_t tiles = (sizes.Tq + kM - 1) / kM, head = blockIdx.x / tiles;
  const int64_t b = head / sizes.H, h = head % sizes.H, g = h / (sizes.H / sizes.G);
  const int64_t first = (tiles - 1 - blockIdx.x % tiles) * kM;  // those that see most keys start first
  const int D = static_cast<int>(sizes.D);
  const A scale = static_cast<A>(sizes.scale);

  load_tile<kD>(q, b, h, first, kM, sizes.Tq, D, whole, q_tile);
  RowParts<A, kD> o;
  A largest[kI], sum[kI];  // m, and this thread's part of l
#pragma unroll
  for (int i = 0; i < kI; ++i) largest[i] = -INFINITY, sum[i] = 0;

  const int64_t end = smaller(sizes.Tk, sizes.visible(first + kM - 1));
  for (int64_t k0 = 0; k0 < end; k0 += kN) {
    __syncthreads();  // all have read the last tiles before they are overwritten
    load_tile<kD>(k, b, g, k0, kN, sizes.Tk, D, whole, k_tile);
    load_tile<kD>(v, b, g, k0, kN, sizes.Tk, D, whole, v_tile);
    __syncthreads();  // the tiles are there before they are read
    A s[kI][kJ];
    products<kD>(q_tile, k_tile, s);
#pragma unroll
    for (int i = 0; i < kI; ++i) {
      const int64_t visible = smaller(sizes.Tk, sizes.visible(first + ty() + kSide * i)) - k0;
      A m = largest[i];
#pragma unroll
      for (int j = 0; j < kJ; ++j) {
        s[i][j] = tx() + kSide * j < visible ? s[i][j] * scale : A(-INFINITY);
        m = s[i][j] > m ? s[i][j] : m;
      }
      m = row_max(m);
      const A factor = math::exp(largest[i] - m);
      largest[i] = m;
      sum[i] *= factor;
      o.scale(i, factor);
#pragma unroll
      for (int j = 0; j < kJ; ++j) sum[i] += s[i][j] = math::exp(s[i][j] - m);
    }
    share_weights<kD>(s, weights);
    o.add_product(weights, v_tile);
  }

#pragma unroll
  for (int i = 0; i < kI; ++i) {
    const int64_t row = first + ty() + kSide * i;
    const A l = row_sum(sum[i]);
    o.scale(i, 1 / l);
    if (tx() == 0 && row < sizes.Tq) lse[head * sizes.Tq + row] = largest[i] + std::log(l);
  }
  o.store(y, b, h, first, sizes.Tq, D, whole);
}

template <class T>
void flash_by_fmas(cudaStream_t stream, const AttentionSizes& sizes, HeadRows<const T> q, HeadRows<const T> k,
                   HeadRows<const T> v, HeadRows<T> y, Acc<T>* lse) {
  const bool whole = rows_are_whole<T>(sizes.D, {q, k, v, read_only(y)});
  with_padded_head(sizes.D, [&]<int kD>() {
    const int64_t tiles = (sizes.Tq + Tiles<Acc<T>, kD>::kM - 1) / Tiles<Acc<T>, kD>::kM;
    launch<attention_queries<T, kD>>(static_cast<unsigned>(sizes.B * sizes.H * tiles), kThreads,
                                     kSharedBytes<T, kD>, stream, sizes, whole, q, k, v, y, lse);
  });
}

// What takes bfloat16 in whole rows to tensor cores, and the rest to FMAs.
template <class T>
void flash_attention(cudaStream_t stream, const AttentionSizes& sizes, HeadRows<const T> q,
                     HeadRows<const T> k, HeadRows<const T> v, HeadRows<T> y, Acc<T>* lse) {
  if constexpr (std::is_same_v<T, bfloat16>)
    if (flash::takes(sizes.D, rows_are_whole<T>(sizes.D, {q, k, v, read_only(y)})))
      return flash::attention_forward(Cuda{stream}, sizes, q, k, v, y, lse);
  flash_by_fmas(stream, sizes, q, k, v, y, lse);
}

}  // namespace

bool attention_tiles::on_tensor_cores() { return variants.all()[variants.chosen()].name != "flash_fma"; }

template <class T>
void attention_forward(Cuda on, const AttentionSizes& sizes, HeadRows<const T> q, HeadRows<const T> k,
                       HeadRows<const T> v, HeadRows<T> y, Acc<T>* lse) {
  if (sizes.B * sizes.H * sizes.Tq == 0) return;
  if constexpr (std::is_same_v<T, double>) {
    flash_by_fmas(on.stream, sizes, q, k, v, y, lse);
  } else {
    static constexpr void (*kVersions[])(cudaStream_t, const AttentionSizes&, HeadRows<const T>,
                                         HeadRows<const T>, HeadRows<const T>, HeadRows<T>, Acc<T>*) = {
        flash_attention, ladder::attention_three_pass, ladder::attention_online, flash_by_fmas};
    variants.pick(kVersions)(on.stream, sizes, q, k, v, y, lse);
  }
}

#define GALVAN_ATTENTION(T)                                                                          \
  template void attention_forward(Cuda, const AttentionSizes&, HeadRows<const T>, HeadRows<const T>, \
                                  HeadRows<const T>, HeadRows<T>, Acc<T>*);
GALVAN_ATTENTION(float)
GALVAN_ATTENTION(double)
GALVAN_ATTENTION(bfloat16)

}  // namespace galvan
