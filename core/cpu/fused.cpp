// Pointwise ops that save a pass over memory.
//   bias_unary   y = f(x + bias)            dx = dy f'(x + bias), dbias = sum_r dx
//   silu_mul     y = silu(gate) up          dgate = dy up silu'(gate), dup = dy silu(gate)
// Shapes   [R, C], bias [C]
// Memory   bias_unary 2 R C sizeof(T) bytes forward, 3 backward; silu_mul 3 and 5
// Order    dbias is summed over fixed blocks of rows, then block after block
#include "core/cpu/rows.h"
#include "core/kernels.h"
#include "core/parallel.h"
#include "core/pointwise.h"

namespace galvan {

template <class F, class T>
void bias_unary(Cpu, F f, const T* x, const T* bias, T* y, int64_t rows, int64_t columns) {
  using A = Acc<T>;
  parallel_ranges(rows, rows_per_task(columns), [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      const T* __restrict in = x + r * columns;
      const T* __restrict b = bias;
      T* __restrict out = y + r * columns;
      for (int64_t c = 0; c < columns; ++c)
        out[c] = static_cast<T>(f(static_cast<A>(in[c]) + static_cast<A>(b[c])));
    }
  });
}

template <class F, class T>
void bias_unary_backward(Cpu, F f, const T* x, const T* bias, const T* dy, T* dx, T* dbias, Acc<T>* partial,
                         int64_t rows, int64_t columns) {
  using A = Acc<T>;
  const int64_t blocks = row_blocks(rows), block_rows = blocks > 0 ? (rows + blocks - 1) / blocks : 1;
  const auto of_row = [&]<bool kInPlace>(int64_t r, A* __restrict sum) {
    const T* __restrict in = x + r * columns;
    const T* __restrict b = bias;
    const T* __restrict up = dy + r * columns;
    T* __restrict out = dx + r * columns;
    for (int64_t c = 0; c < columns; ++c) {
      const A upstream = static_cast<A>(kInPlace ? out[c] : up[c]);
      const A d = upstream * f.derivative(static_cast<A>(in[c]) + static_cast<A>(b[c]));
      out[c] = static_cast<T>(d);
      sum[c] += d;
    }
  };
  parallel_for(blocks, [&](int64_t block) {
    A* const sum = partial + block * columns;
    std::fill_n(sum, columns, A(0));
    for (int64_t r = block * block_rows; r < std::min(rows, (block + 1) * block_rows); ++r)
      dx == dy ? of_row.template operator()<true>(r, sum) : of_row.template operator()<false>(r, sum);
  });
  if (dbias) sum_blocks(partial, blocks, columns, dbias);
}

namespace {
constexpr int64_t kGrain = 1 << 13;  // elements a task
}

template <class T>
void silu_mul_forward(Cpu, const T* gate, const T* up, T* y, int64_t n) {
  using A = Acc<T>;
  parallel_ranges(n, kGrain, [&](int64_t begin, int64_t end) {
    const T* __restrict g = gate;
    const T* __restrict u = up;
    T* __restrict out = y;
    for (int64_t i = begin; i < end; ++i)
      out[i] = static_cast<T>(Silu()(static_cast<A>(g[i])) * static_cast<A>(u[i]));
  });
}

template <class T>
void silu_mul_backward(Cpu, const T* gate, const T* up, const T* dy, T* dgate, T* dup, int64_t n) {
  using A = Acc<T>;
  parallel_ranges(n, kGrain, [&](int64_t begin, int64_t end) {
    const T* __restrict g = gate;
    const T* __restrict u = up;
    const T* __restrict upstream = dy;
    T* __restrict dg = dgate;
    T* __restrict du = dup;
    for (int64_t i = begin; i < end; ++i) {
      const A x = static_cast<A>(g[i]), d = static_cast<A>(upstream[i]);
      dg[i] = static_cast<T>(d * static_cast<A>(u[i]) * Silu().derivative(x));
      du[i] = static_cast<T>(d * Silu()(x));
    }
  });
}

#define GALVAN_BIAS_UNARY(F, T)                                               \
  template void bias_unary(Cpu, F, const T*, const T*, T*, int64_t, int64_t); \
  template void bias_unary_backward(Cpu, F, const T*, const T*, const T*, T*, T*, Acc<T>*, int64_t, int64_t);
#define GALVAN_FUSED(T)                                                 \
  GALVAN_BIAS_UNARY(GeluTanh, T)                                        \
  GALVAN_BIAS_UNARY(GeluExact, T)                                       \
  template void silu_mul_forward(Cpu, const T*, const T*, T*, int64_t); \
  template void silu_mul_backward(Cpu, const T*, const T*, const T*, T*, T*, int64_t);
GALVAN_FUSED(float)
GALVAN_FUSED(double)
GALVAN_FUSED(bfloat16)

}  // namespace galvan
