// One head of attention, in tiles that stay in the first two levels of cache.
//   S = scale Q K^T, masked        P = exp(S - lse)        O = P V
//   dV = P^T dO      dP = dO V^T      dS = P (dP - delta)      delta[t] = <dO[t], O[t]>
//   dQ = scale dS K      dK = scale dS^T Q
// The forward does not know lse before the last key: it keeps the largest score m so far and the sum l of
// exp(S - m), and scales O and l down when m grows (Dao et al., arXiv:2205.14135, section 3.1).
// Shapes   Q, O, dO, dQ: [Tq, D]; K, V, dK, dV: [Tk, D]; a tile is at most [kQueries, kKeys]
// Memory   all of q, k, v, y once, in rows of the caller's strides; scratch is linear in Tk
// Compute  2 products forward, 5 backward, each of 2 Tq Tk D FLOPs, halved by a causal mask: strips of kStrip
//          rows end at the last key that their last row sees
#include "core/cpu/attention_head.h"

#include "core/cpu/simd/transpose.h"
#include "core/cpu/simd/vec.h"
#include "core/exp.h"

namespace galvan::GALVAN_ISA {
namespace {

using V = Vec<float>;
constexpr int64_t kL = kLanes<float>;
constexpr int64_t kQueries = kAttentionQueries;  // rows of a tile
constexpr int64_t kKeys = kAttentionKeys;        // columns of a tile, a multiple of kL
constexpr int64_t kStrip = 4;                    // rows that are computed together; divides kL
constexpr float kInfinity = __builtin_inff();

constexpr int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
constexpr int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }
constexpr int64_t round_up(int64_t n, int64_t to) { return (n + to - 1) / to * to; }

// --- products of small matrices

// C[M, N vectors] = or += A[M, depth] B[depth, N vectors]; A's elements lie a_row and a_step apart.
template <int M, int N>
GALVAN_INLINE void product_tile(int64_t depth, const float* a, int64_t a_row, int64_t a_step, const float* b,
                                int64_t b_step, float* c, int64_t c_row, bool add) {
  V sum[M][N];
#pragma GCC unroll 8
  for (int m = 0; m < M; ++m)
#pragma GCC unroll 4
    for (int n = 0; n < N; ++n) sum[m][n] = add ? load(c + m * c_row + n * kL) : V{};
  for (int64_t i = 0; i < depth; ++i) {
    V row[N];
#pragma GCC unroll 4
    for (int n = 0; n < N; ++n) row[n] = load(b + i * b_step + n * kL);
#pragma GCC unroll 8
    for (int m = 0; m < M; ++m) {
      const V factor = broadcast(a[m * a_row + i * a_step]);
#pragma GCC unroll 4
      for (int n = 0; n < N; ++n) sum[m][n] = fma(factor, row[n], sum[m][n]);
    }
  }
#pragma GCC unroll 8
  for (int m = 0; m < M; ++m)
#pragma GCC unroll 4
    for (int n = 0; n < N; ++n) store(c + m * c_row + n * kL, sum[m][n]);
}

// The same for any number of rows, by tiles of M, M / 2, ... rows.
template <int M, int N>
GALVAN_INLINE void product_rows(int64_t rows, int64_t depth, const float* a, int64_t a_row, int64_t a_step,
                                const float* b, int64_t b_step, float* c, int64_t c_row, bool add) {
  int64_t m = 0;
  for (; m + M <= rows; m += M)
    product_tile<M, N>(depth, a + m * a_row, a_row, a_step, b, b_step, c + m * c_row, c_row, add);
  if constexpr (M > 1)
    if (m < rows)
      product_rows<M / 2, N>(rows - m, depth, a + m * a_row, a_row, a_step, b, b_step, c + m * c_row, c_row,
                             add);
}

// C[rows, vectors] = or += A[rows, depth] B[depth, vectors].
[[gnu::noinline]] void product(int64_t rows, int64_t vectors, int64_t depth, const float* a, int64_t a_row,
                               int64_t a_step, const float* b, int64_t b_step, float* c, int64_t c_row,
                               bool add) {
  constexpr int wide = kIsa == Isa::avx512 ? 4 : 2;  // vectors: 16 sums of 32 registers, or 8 of 16
  int64_t n = 0;
  for (; n + wide <= vectors; n += wide)
    product_rows<4, wide>(rows, depth, a, a_row, a_step, b + n * kL, b_step, c + n * kL, c_row, add);
  if (wide == 4 && vectors - n == 3)
    product_rows<4, 3>(rows, depth, a, a_row, a_step, b + n * kL, b_step, c + n * kL, c_row, add);
  if (wide == 4 && vectors - n == 2)
    product_rows<4, 2>(rows, depth, a, a_row, a_step, b + n * kL, b_step, c + n * kL, c_row, add);
  if (vectors - n == 1)
    product_rows<4, 1>(rows, depth, a, a_row, a_step, b + n * kL, b_step, c + n * kL, c_row, add);
}

// --- rows in and out

// A head's rows are short and far apart, which the processor does not fetch ahead by itself.
constexpr int64_t kRowsAhead = 8;

// to[n, width] = rows [n, D], the columns from D on zero.
template <class T>
void load_rows(const T* from, int64_t stride, int64_t n, int64_t D, int64_t width, float* to) {
  for (; n > 0; --n, from += stride, to += width) {
    int64_t d = 0;
    for (; d + kL <= D; d += kL) {
      __builtin_prefetch(from + kRowsAhead * stride + d);
      store(to + d, load_as<float>(from + d));
    }
    if (d == D) continue;
    T tail[kL] = {};
    __builtin_memcpy(static_cast<void*>(tail), from + d, (D - d) * sizeof(T));
    store(to + d, load_as<float>(tail));
  }
}

// rows [n, D] = factor from[n, width].
template <class T>
void store_rows(const float* from, int64_t n, int64_t D, int64_t width, float factor, T* to, int64_t stride) {
  for (; n > 0; --n, from += width, to += stride) {
    int64_t d = 0;
    for (; d + kL <= D; d += kL) {
      __builtin_prefetch(to + kRowsAhead * stride + d, 1);
      store_as(to + d, load(from + d) * factor);
    }
    if (d == D) continue;
    T tail[kL];
    store_as(tail, load(from + d) * factor);
    __builtin_memcpy(static_cast<void*>(to + d), tail, (D - d) * sizeof(T));
  }
}

// to[kL, kL] (rows `to_row` apart) = factor from[kL, kL]^T.
GALVAN_INLINE void transpose_block(const float* from, int64_t from_row, float factor, float* to,
                                   int64_t to_row) {
  V rows[kL];
#pragma GCC unroll 16
  for (int i = 0; i < kL; ++i) rows[i] = load(from + i * from_row) * factor;
  transpose(rows);
#pragma GCC unroll 16
  for (int i = 0; i < kL; ++i) store(to + i * to_row, rows[i]);
}

// factor times the transposes of tiles of kKeys rows: to[tile][width][kKeys]. `from` [n, width] is dense, n
// and width multiples of kL.
void transpose_tiles(const float* from, int64_t n, int64_t width, float factor, float* to) {
  for (int64_t t = 0; t < n; t += kL)
    for (int64_t d = 0; d < width; d += kL)
      transpose_block(from + t * width + d, width, factor, to + (t / kKeys * width + d) * kKeys + t % kKeys,
                      kKeys);
}

template <int... I>
GALVAN_INLINE Vec<int32_t> counting(std::integer_sequence<int, I...>) {
  return Vec<int32_t>{I...};
}

// x in the lanes that are columns of `visible` ones, `other` beyond; the vector starts at column `first`.
GALVAN_INLINE V masked(V x, int64_t first, int64_t visible, float other) {
  if (first + kL <= visible) return x;
  const Vec<int32_t> lane = counting(LanesOf<V>{});
  return select(lane < broadcast(static_cast<int32_t>(visible - first)), x, broadcast(other));
}

// e^x for x <= 0, or a little above, in fewer steps than exp(): below -87 the result is e^-87, about 1e-38.
GALVAN_INLINE V exp_below_zero(V x) {
  x = select(x < broadcast(-87.0f), broadcast(-87.0f), x);  // NaN passes
  const auto [shifted, e] = exp_parts(x);
  // The lowest bits of `shifted` hold n; e is in [0.7, 1.42], so n can be added to its exponent.
  return bits_as<float>(bits_as<uint32_t>(e) + (bits_as<uint32_t>(shifted) << 23));
}

// --- one number for each of the kStrip rows of a strip: a vector whose lanes r kL/4 .. (r + 1) kL/4 - 1 are row r's

// Halves groups of kWidth lanes of a, then of b: combine(first halves, second halves).
template <int kWidth, class Combine, int... I>
GALVAN_INLINE V halve(V a, V b, Combine combine, std::integer_sequence<int, I...>) {
  constexpr int half = kWidth / 2, groups = kL / kWidth;
  const auto first = __builtin_shufflevector(
      a, b,
      (I / half < groups ? I / half * kWidth + I % half : (I / half - groups) * kWidth + I % half + kL)...);
  const auto second =
      __builtin_shufflevector(a, b,
                              (I / half < groups ? I / half * kWidth + I % half + half
                                                 : (I / half - groups) * kWidth + I % half + half + kL)...);
  return combine(first, second);
}

template <int kDistance, int... I>
GALVAN_INLINE V swap_lanes(V v, std::integer_sequence<int, I...>) {
  return __builtin_shufflevector(v, v, (I ^ kDistance)...);
}

// Each row's lanes combined into one number, always in the same order.
template <class Combine>
GALVAN_INLINE V reduce_strip(const V (&rows)[kStrip], Combine combine) {
  const V low = halve<kL>(rows[0], rows[1], combine, LanesOf<V>{});
  const V high = halve<kL>(rows[2], rows[3], combine, LanesOf<V>{});
  V v = halve<kL / 2>(low, high, combine, LanesOf<V>{});
  if constexpr (kL > 8) v = combine(v, swap_lanes<2>(v, LanesOf<V>{}));
  if constexpr (kL > 4) v = combine(v, swap_lanes<1>(v, LanesOf<V>{}));
  return v;
}

template <int kRow, int... I>
GALVAN_INLINE V broadcast_lane(V v, std::integer_sequence<int, I...>) {
  return __builtin_shufflevector(v, v, (I * 0 + kRow * static_cast<int>(kL / kStrip))...);
}

// One vector a row, all of its lanes the row's number.
GALVAN_INLINE void spread(V v, V (&rows)[kStrip]) {
  rows[0] = broadcast_lane<0>(v, LanesOf<V>{});
  rows[1] = broadcast_lane<1>(v, LanesOf<V>{});
  rows[2] = broadcast_lane<2>(v, LanesOf<V>{});
  rows[3] = broadcast_lane<3>(v, LanesOf<V>{});
}

// --- forward

// What a strip's rows know of the keys they have seen.
struct Running {
  V max = broadcast(-kInfinity);  // m
  V sum{};                        // l
};

// s[0, columns) = exp(s - m) with the mask, for the next columns of a strip, of which row i sees visible[i]; gives
// the factors by which what the rows have summed before must be scaled.
GALVAN_INLINE V softmax_step(float* s, int64_t columns, const int64_t (&visible)[kStrip], Running& running) {
  V largest[kStrip], sum[kStrip], m_row[kStrip];
#pragma GCC unroll 4
  for (int i = 0; i < kStrip; ++i) largest[i] = broadcast(-kInfinity), sum[i] = V{};
  for (int64_t c = 0; c < columns; c += kL)
#pragma GCC unroll 4
    for (int i = 0; i < kStrip; ++i)
      largest[i] = max(masked(load(s + i * kKeys + c), c, visible[i], -kInfinity), largest[i]);
  const V m = max(reduce_strip(largest, [](V a, V b) { return max(a, b); }), running.max);
  spread(m, m_row);
  for (int64_t c = 0; c < columns; c += kL)
#pragma GCC unroll 4
    for (int i = 0; i < kStrip; ++i) {
      const V p = masked(exp_below_zero(load(s + i * kKeys + c) - m_row[i]), c, visible[i], 0.0f);
      store(s + i * kKeys + c, p);
      sum[i] += p;
    }
  const V factor = exp_below_zero(running.max - m);
  running.max = m;
  running.sum = fma(running.sum, factor, reduce_strip(sum, [](V a, V b) { return a + b; }));
  return factor;
}

// o *= factor, row by row.
GALVAN_INLINE void scale_strip(float* o, int64_t strip, int64_t width, V factor) {
  V factors[kStrip];
  spread(factor, factors);
  for (int64_t i = 0; i < strip; ++i)
    for (int64_t d = 0; d < width; d += kL) store(o + i * width + d, load(o + i * width + d) * factors[i]);
}

// y[t] = o[t] / l[t] and lse[t] = m[t] + ln l[t], for the rows of a strip.
template <class T>
void finish_strip(const float* o, int64_t strip, int64_t D, int64_t width, const Running& running, T* y,
                  int64_t stride, float* lse) {
  const V inverse = 1.0f / running.sum;
  for (int64_t i = 0; i < strip; ++i) {
    const int64_t lane = i * (kL / kStrip);
    store_rows(o + i * width, 1, D, width, inverse[lane], y + i * stride, stride);
    lse[i] = running.max[lane] + __builtin_logf(running.sum[lane]);
  }
}

template <class T>
void forward(const AttentionSizes& sizes, int64_t b, int64_t h, int64_t first, int64_t last,
             HeadRows<const T> q, HeadRows<const T> k, HeadRows<const T> v, HeadRows<T> y, float* lse,
             float* scratch) {
  const int64_t D = sizes.D, width = round_up(D, kL);
  const int64_t keys = least(sizes.Tk, sizes.visible(last - 1));
  const int64_t padded = round_up(keys, kKeys);
  const int64_t g = h / (sizes.H / sizes.G);
  float* const v_rows = scratch;                   // [padded, width]
  float* const k_tiles = v_rows + padded * width;  // [padded / kKeys, width, kKeys]
  float* const q_rows = k_tiles + padded * width;  // [kQueries, width]
  float* const o = q_rows + kQueries * width;      // [kQueries, width]
  float* const s = o + kQueries * width;           // [kStrip, kKeys]

  load_rows(k.at(b, g, 0), k.row_stride, keys, D, width, v_rows);
  for (int64_t i = keys * width; i < round_up(keys, kL) * width; ++i) v_rows[i] = 0.0f;
  transpose_tiles(v_rows, round_up(keys, kL), width, static_cast<float>(sizes.scale), k_tiles);
  load_rows(v.at(b, g, 0), v.row_stride, keys, D, width, v_rows);

  for (int64_t q0 = first; q0 < last; q0 += kQueries) {
    const int64_t rows = least(kQueries, last - q0);
    Running running[kQueries / kStrip];
    load_rows(q.at(b, h, q0), q.row_stride, rows, D, width, q_rows);

    const int64_t end = least(keys, sizes.visible(q0 + rows - 1));
    for (int64_t k0 = 0; k0 < end; k0 += kKeys) {
      for (int64_t r = 0; r < rows; r += kStrip) {
        const int64_t strip = least(kStrip, rows - r);
        const int64_t seen = least(kKeys, least(keys, sizes.visible(q0 + r + strip - 1)) - k0);
        if (seen <= 0) continue;
        const int64_t columns = round_up(seen, kL);
        product(strip, columns / kL, D, q_rows + r * width, width, 1, k_tiles + k0 * width, kKeys, s, kKeys,
                false);
        int64_t visible[kStrip];
        for (int64_t i = 0; i < kStrip; ++i) visible[i] = least(keys, sizes.visible(q0 + r + i)) - k0;
        for (int64_t i = strip * kKeys; i < kStrip * kKeys; ++i) s[i] = 0.0f;
        const V factor = softmax_step(s, columns, visible, running[r / kStrip]);
        if (k0 > 0) scale_strip(o + r * width, strip, width, factor);
        product(strip, width / kL, seen, s, kKeys, 1, v_rows + k0 * width, width, o + r * width, width,
                k0 > 0);
      }
    }
    for (int64_t r = 0; r < rows; r += kStrip)
      finish_strip(o + r * width, least(kStrip, rows - r), D, width, running[r / kStrip], y.at(b, h, q0 + r),
                   y.row_stride, lse + (b * sizes.H + h) * sizes.Tq + q0 + r);
  }
}

// --- backward

// p[0, columns) = exp(s - lse) and ds = p (dp - delta), in place of s and dp, with the mask.
GALVAN_INLINE void gradient_step(float* s, float* dp, int64_t columns, int64_t visible, float lse,
                                 float delta) {
  for (int64_t c = 0; c < columns; c += kL) {
    const V p = masked(exp_below_zero(load(s + c) - lse), c, visible, 0.0f);
    store(s + c, p);
    store(dp + c, p * (load(dp + c) - delta));
  }
}

template <class T>
void backward(const AttentionSizes& sizes, int64_t b, int64_t g, HeadRows<const T> q, HeadRows<const T> k,
              HeadRows<const T> v, HeadRows<const T> y, HeadRows<const T> dy, const float* lse,
              HeadRows<T> dq, HeadRows<T> dk, HeadRows<T> dv, float* scratch) {
  const int64_t D = sizes.D, width = round_up(D, kL), keys = sizes.Tk, padded = round_up(keys, kKeys);
  const float scale = static_cast<float>(sizes.scale);
  float* const k_rows = scratch;                    // [padded, width]
  float* const k_tiles = k_rows + padded * width;   // [padded / kKeys, width, kKeys], times scale
  float* const v_tiles = k_tiles + padded * width;  // the same of V
  float* const dk_rows = v_tiles + padded * width;  // [padded, width]
  float* const dv_rows = dk_rows + padded * width;  // [padded, width]
  float* const q_rows = dv_rows + padded * width;   // [kQueries, width]
  float* const dy_rows = q_rows + kQueries * width;
  float* const dq_rows = dy_rows + kQueries * width;
  float* const p = dq_rows + kQueries * width;  // [kQueries, kKeys], S before
  float* const ds = p + kQueries * kKeys;       // [kQueries, kKeys], dP before

  const int64_t whole = round_up(keys, kL);
  load_rows(v.at(b, g, 0), v.row_stride, keys, D, width, k_rows);
  for (int64_t i = keys * width; i < whole * width; ++i) k_rows[i] = 0.0f;
  transpose_tiles(k_rows, whole, width, 1.0f, v_tiles);
  load_rows(k.at(b, g, 0), k.row_stride, keys, D, width, k_rows);
  transpose_tiles(k_rows, whole, width, scale, k_tiles);
  for (int64_t i = 0; i < whole * width; ++i) dk_rows[i] = dv_rows[i] = 0.0f;

  const int64_t group = sizes.H / sizes.G;
  for (int64_t h = g * group; h < (g + 1) * group; ++h) {
    for (int64_t q0 = 0; q0 < sizes.Tq; q0 += kQueries) {
      const int64_t rows = least(kQueries, sizes.Tq - q0);
      load_rows(q.at(b, h, q0), q.row_stride, rows, D, width, q_rows);
      load_rows(y.at(b, h, q0), y.row_stride, rows, D, width, dq_rows);
      load_rows(dy.at(b, h, q0), dy.row_stride, rows, D, width, dy_rows);
      float delta[kQueries];
      for (int64_t r = 0; r < rows; ++r) {
        V sum{};
        for (int64_t d = r * width; d < (r + 1) * width; d += kL)
          sum = fma(load(dq_rows + d), load(dy_rows + d), sum);
        delta[r] = reduce_add(sum);
      }
      const float* const row_lse = lse + (b * sizes.H + h) * sizes.Tq + q0;

      const int64_t end = least(keys, sizes.visible(q0 + rows - 1));
      for (int64_t k0 = 0; k0 < end; k0 += kKeys) {
        for (int64_t r = 0; r < rows; r += kStrip) {
          const int64_t strip = least(kStrip, rows - r);
          const int64_t seen = least(kKeys, least(keys, sizes.visible(q0 + r + strip - 1)) - k0);
          if (seen <= 0) continue;
          const int64_t columns = round_up(seen, kL);
          float *const p_strip = p + r * kKeys, *const ds_strip = ds + r * kKeys;
          product(strip, columns / kL, D, q_rows + r * width, width, 1, k_tiles + k0 * width, kKeys, p_strip,
                  kKeys, false);
          product(strip, columns / kL, D, dy_rows + r * width, width, 1, v_tiles + k0 * width, kKeys,
                  ds_strip, kKeys, false);
          for (int64_t i = 0; i < strip; ++i)
            gradient_step(p_strip + i * kKeys, ds_strip + i * kKeys, columns,
                          least(keys, sizes.visible(q0 + r + i)) - k0, row_lse[r + i], delta[r + i]);
          product(strip, width / kL, seen, ds_strip, kKeys, 1, k_rows + k0 * width, width,
                  dq_rows + r * width, width, k0 > 0);
        }
        // Key j is seen by the queries from `from` on; a strip's later keys are masked in the first few rows.
        const int64_t tile_keys = least(kKeys, end - k0);
        for (int64_t j = 0; j < tile_keys; j += kStrip) {
          const int64_t strip = least(kStrip, tile_keys - j);
          const int64_t from = sizes.causal ? most(0, k0 + j - (keys - sizes.Tq) - q0) : 0;
          if (from >= rows) break;
          product(strip, width / kL, rows - from, p + from * kKeys + j, 1, kKeys, dy_rows + from * width,
                  width, dv_rows + (k0 + j) * width, width, true);
          product(strip, width / kL, rows - from, ds + from * kKeys + j, 1, kKeys, q_rows + from * width,
                  width, dk_rows + (k0 + j) * width, width, true);
        }
      }
      store_rows(dq_rows, rows, D, width, scale, dq.at(b, h, q0), dq.row_stride);
    }
  }
  store_rows(dk_rows, keys, D, width, scale, dk.at(b, g, 0), dk.row_stride);
  store_rows(dv_rows, keys, D, width, 1.0f, dv.at(b, g, 0), dv.row_stride);
}

}  // namespace
}  // namespace galvan::GALVAN_ISA

namespace galvan {

template <Isa, class T>
void attention_head_forward(const AttentionSizes& sizes, int64_t b, int64_t h, int64_t first, int64_t last,
                            HeadRows<const T> q, HeadRows<const T> k, HeadRows<const T> v, HeadRows<T> y,
                            float* lse, float* scratch) {
  GALVAN_ISA::forward<T>(sizes, b, h, first, last, q, k, v, y, lse, scratch);
}

template <Isa, class T>
void attention_head_backward(const AttentionSizes& sizes, int64_t b, int64_t g, HeadRows<const T> q,
                             HeadRows<const T> k, HeadRows<const T> v, HeadRows<const T> y,
                             HeadRows<const T> dy, const float* lse, HeadRows<T> dq, HeadRows<T> dk,
                             HeadRows<T> dv, float* scratch) {
  GALVAN_ISA::backward<T>(sizes, b, g, q, k, v, y, dy, lse, dq, dk, dv, scratch);
}

#define GALVAN_ATTENTION(T)                                                                                  \
  template void attention_head_forward<Isa::GALVAN_ISA, T>(const AttentionSizes&, int64_t, int64_t, int64_t, \
                                                           int64_t, HeadRows<const T>, HeadRows<const T>,    \
                                                           HeadRows<const T>, HeadRows<T>, float*, float*);  \
  template void attention_head_backward<Isa::GALVAN_ISA, T>(                                                 \
      const AttentionSizes&, int64_t, int64_t, HeadRows<const T>, HeadRows<const T>, HeadRows<const T>,      \
      HeadRows<const T>, HeadRows<const T>, const float*, HeadRows<T>, HeadRows<T>, HeadRows<T>, float*);
GALVAN_ATTENTION(float)
GALVAN_ATTENTION(bfloat16)

}  // namespace galvan
