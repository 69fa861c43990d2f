// Pointwise ops that save a pass over memory.
//   bias_unary   y = f(x + bias)            dx = dy f'(x + bias), dbias = sum_r dx
//   silu_mul     y = silu(gate) up          dgate = dy up silu'(gate), dup = dy silu(gate)
// Shapes   [R, C], bias [C]
// Memory   bias_unary 2 R C sizeof(T) bytes forward, 3 backward and sums of dbias for each block of rows; the
//          bias is asked for by every warp, which forward has 512 bytes of x. silu_mul 3 n sizeof(T) and 5
// Compute  about 20 FLOPs an element: bandwidth-bound, judge it in GB/s
// Launch   forward: map.h; bias_unary's backward: column_sums.h; silu_mul's: a pack a thread
#include "core/pointwise.h"
#include "cuda/column_sums.h"
#include "cuda/map.h"
#include "cuda/replicas.h"

namespace galvan {
namespace {

template <class F, class T>
struct BiasValue {
  F f;
  __device__ T operator()(T x, T bias) const { return T(f(Acc<T>(x) + Acc<T>(bias))); }
};

// partial: of dbias, over the block's rows. A null bias is 0.
template <class F, class T, bool kWhole>
__device__ void bias_unary_backward_columns(F f, const T* x, const T* bias, const T* dy, T* dx,
                                            Acc<T>* partial, int64_t rows, int64_t columns) {
  using A = Acc<T>;
  const int64_t c = column_of_thread<T>();
  const RowRange range = rows_of_warp(rows);
  Pack<A, kPack<T>> sums{};
  if (c < columns) {
    const Wide<T> b = bias ? widened<T>(load_raw<kWhole>(bias, c, columns)) : Wide<T>{};
    // Reads rows ahead of the first that it writes, which may be where it reads.
    constexpr int kAhead = 2;
    for (int64_t first = range.first; first < range.end; first += kAhead * kColumnWarps) {
      Raw<T> in[kAhead], up[kAhead];
#pragma unroll
      for (int j = 0; j < kAhead; ++j) {
        const int64_t row = first + j * kColumnWarps;
        if (row >= range.end) continue;
        in[j] = load_raw<kWhole>(x + row * columns, c, columns);
        up[j] = load_raw<kWhole>(dy + row * columns, c, columns);
      }
#pragma unroll
      for (int j = 0; j < kAhead; ++j) {
        const int64_t row = first + j * kColumnWarps;
        if (row >= range.end) continue;
        const Wide<T> z = widened<T>(in[j]);
        Wide<T> d = widened<T>(up[j]);
#pragma unroll
        for (int i = 0; i < kPack<T>; ++i) {
          d.at[i] *= f.derivative(z.at[i] + b.at[i]);
          sums.at[i] += d.at[i];
        }
        store_raw<kWhole>(dx + row * columns, c, columns, narrowed<T>(d));
      }
    }
  }
  if (partial) store_column_sums(sums, partial, columns);
}

struct SiluMul {
  template <class T>
  __device__ T operator()(T gate, T up) const {
    return T(Silu()(Acc<T>(gate)) * Acc<T>(up));
  }
};

constexpr int kThreads = 256;

template <class T, bool kWhole>
__device__ void silu_mul_backward_pack_per_thread(const T* gate, const T* up, const T* dy, T* dgate, T* dup,
                                                  int64_t n) {
  const int64_t first = (int64_t{blockIdx.x} * kThreads + threadIdx.x) * kPack<T>;
  if (first >= n) return;
  const auto wide = [&](const T* from) { return widened<T>(load_raw<kWhole>(from, first, n)); };
  const Wide<T> gates = wide(gate), ups = wide(up), upstream = wide(dy);
  Wide<T> dgates, dups;
#pragma unroll
  for (int i = 0; i < kPack<T>; ++i) {
    dgates.at[i] = upstream.at[i] * ups.at[i] * Silu().derivative(gates.at[i]);
    dups.at[i] = upstream.at[i] * Silu()(gates.at[i]);
  }
  store_raw<kWhole>(dgate, first, n, narrowed<T>(dgates));
  store_raw<kWhole>(dup, first, n, narrowed<T>(dups));
}

}  // namespace

template <>
inline constexpr bool kInSteps<SiluMul> = true;

template <class F, class T>
void bias_unary(Cuda on, F f, const T* x, const T* bias, T* y, int64_t rows, int64_t columns) {
  map(on, BiasValue<F, T>{f}, {rows, columns}, Strided<T>{y, {columns, 1}}, Strided<const T>{x, {columns, 1}},
      Strided<const T>{bias, {0, 1}});
}

template <class F, class T>
void bias_unary_backward(Cuda on, F f, const T* x, const T* bias, const T* dy, T* dx, T* dbias,
                         Acc<T>* partial, int64_t rows, int64_t columns) {
  if (columns == 0) return;
  if (rows > 0) {
    const dim3 grid = column_grid<T>(rows, columns);
    Acc<T>* const sums = dbias ? partial : nullptr;
    if (packs_are_whole<T>(columns, {x, bias, dy, dx})) {
      launch_body<bias_unary_backward_columns<F, T, true>, Body{.replicas = kReplicated<T>}>(
          grid, kColumnWarps * 32, 0, on.stream, f, x, bias, dy, dx, sums, rows, columns);
    } else {
      launch_body<bias_unary_backward_columns<F, T, false>, Body{.replicas = kReplicated<T>}>(
          grid, kColumnWarps * 32, 0, on.stream, f, x, bias, dy, dx, sums, rows, columns);
    }
  }
  if (dbias) add_row_blocks(on, partial, rows, columns, dbias);
}

template <class T>
void silu_mul_forward(Cuda on, const T* gate, const T* up, T* y, int64_t n) {
  map_dense(on, SiluMul{}, n, y, gate, up);
}

template <class T>
void silu_mul_backward(Cuda on, const T* gate, const T* up, const T* dy, T* dgate, T* dup, int64_t n) {
  if (n == 0) return;
  const unsigned blocks = blocks_for(n, kThreads * kPack<T>);
  if (packs_are_whole<T>(n, {gate, up, dy, dgate, dup})) {
    launch_body<silu_mul_backward_pack_per_thread<T, true>, Body{.replicas = kReplicated<T>}>(
        blocks, kThreads, 0, on.stream, gate, up, dy, dgate, dup, n);
  } else {
    launch_body<silu_mul_backward_pack_per_thread<T, false>, Body{.replicas = kReplicated<T>}>(
        blocks, kThreads, 0, on.stream, gate, up, dy, dgate, dup, n);
  }
}

#define GALVAN_BIAS_UNARY(F, T)                                                \
  template void bias_unary(Cuda, F, const T*, const T*, T*, int64_t, int64_t); \
  template void bias_unary_backward(Cuda, F, const T*, const T*, const T*, T*, T*, Acc<T>*, int64_t, int64_t);
#define GALVAN_FUSED(T)                                                  \
  GALVAN_BIAS_UNARY(GeluTanh, T)                                         \
  GALVAN_BIAS_UNARY(GeluExact, T)                                        \
  template void silu_mul_forward(Cuda, const T*, const T*, T*, int64_t); \
  template void silu_mul_backward(Cuda, const T*, const T*, const T*, T*, T*, int64_t);
GALVAN_FUSED(float)
GALVAN_FUSED(double)
GALVAN_FUSED(bfloat16)

}  // namespace galvan
