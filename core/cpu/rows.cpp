// Softmax and its logarithm over the last dimension.
//   softmax       y[r,c] = exp(x[r,c] - m[r]) / sum_k exp(x[r,k] - m[r])        m[r] = max_k x[r,k]
//                 dx[r,c] = y[r,c] (dy[r,c] - sum_k y[r,k] dy[r,k])
//   log_softmax   y[r,c] = x[r,c] - m[r] - ln sum_k exp(x[r,k] - m[r])
//                 dx[r,c] = dy[r,c] - exp(y[r,c]) sum_k dy[r,k]
// Shapes   x, y, dy, dx: [R, C]
// Memory   2 R C sizeof(T) bytes forward, 3 backward, while a row stays in the L1 cache
#include "core/cpu/rows.h"

#include "core/cpu/ladder/ladder.h"
#include "core/kernels.h"
#include "core/parallel.h"
#include "core/variants.h"

namespace galvan {
namespace {

Variants versions("softmax", "cpu",
                  {{"vectorised", "core/cpu/rows.cpp"},
                   {"naive", "core/cpu/ladder/softmax_1_naive.cpp"},
                   {"one_exp", "core/cpu/ladder/softmax_2_one_exp.cpp"}},
                  Passes::both);

// Calls body(r) for every row.
template <class F>
void for_rows(int64_t rows, int64_t columns, const F& body) {
  parallel_ranges(rows, rows_per_task(columns), [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) body(r);
  });
}

template <class T>
void softmax_forward_vectorised(const T* x, T* y, int64_t rows, int64_t columns) {
  using A = Acc<T>;
  for_rows(rows, columns, [&](int64_t r) {
    const T* __restrict in = x + r * columns;
    T* __restrict out = y + r * columns;
    const A m = row_max(in, columns);
    const auto shifted = [=](int64_t c) { return static_cast<A>(in[c]) - m; };
    if constexpr (std::is_same_v<T, A>) {
      for (int64_t c = 0; c < columns; ++c) out[c] = shifted(c);
      exp_in_place(columns, out);
      const A scale = A(1) / lane_sum<A>(columns, [=](int64_t c) { return out[c]; });
      for (int64_t c = 0; c < columns; ++c) out[c] *= scale;
    } else {  // y is too coarse to hold exponentials that are still to be scaled: compute them twice
      A sum = 0;
      for_exp<A>(columns, shifted, [&](int64_t, const A* e, int64_t count) {
        sum += lane_sum<A>(count, [=](int64_t i) { return e[i]; });
      });
      const A scale = A(1) / sum;
      for_exp<A>(columns, shifted, [&](int64_t begin, const A* e, int64_t count) {
        for (int64_t i = 0; i < count; ++i) out[begin + i] = static_cast<T>(e[i] * scale);
      });
    }
  });
}

template <class T>
void softmax_backward_vectorised(const T* y, const T* dy, T* dx, int64_t rows, int64_t columns) {
  using A = Acc<T>;
  for_rows(rows, columns, [&](int64_t r) {
    const T* __restrict p = y + r * columns;
    const T* __restrict upstream = dy + r * columns;
    T* __restrict out = dx + r * columns;
    const A dot =
        lane_sum<A>(columns, [=](int64_t c) { return static_cast<A>(p[c]) * static_cast<A>(upstream[c]); });
    for (int64_t c = 0; c < columns; ++c)
      out[c] = static_cast<T>(static_cast<A>(p[c]) * (static_cast<A>(upstream[c]) - dot));
  });
}

}  // namespace

template <class T>
void softmax_forward(Cpu, const T* x, T* y, int64_t rows, int64_t columns) {
  static constexpr decltype(&softmax_forward_vectorised<T>) kVersions[] = {
      softmax_forward_vectorised<T>, ladder::softmax_forward_naive<T>, ladder::softmax_forward_one_exp<T>};
  versions.pick(kVersions)(x, y, rows, columns);
}

template <class T>
void softmax_backward(Cpu, const T* y, const T* dy, T* dx, int64_t rows, int64_t columns) {
  static constexpr decltype(&softmax_backward_vectorised<T>) kVersions[] = {
      softmax_backward_vectorised<T>, ladder::softmax_backward_naive<T>, ladder::softmax_backward_naive<T>};
  versions.pick(kVersions)(y, dy, dx, rows, columns);
}

template <class T>
void log_softmax_forward(Cpu, const T* x, T* y, int64_t rows, int64_t columns) {
  using A = Acc<T>;
  for_rows(rows, columns, [&](int64_t r) {
    const T* __restrict in = x + r * columns;
    T* __restrict out = y + r * columns;
    const auto [max, log_sum] = row_log_sum(in, columns);
    const A m = max, shift = log_sum;
    for (int64_t c = 0; c < columns; ++c) out[c] = static_cast<T>((static_cast<A>(in[c]) - m) - shift);
  });
}

template <class T>
void log_softmax_backward(Cpu, const T* y, const T* dy, T* dx, int64_t rows, int64_t columns) {
  using A = Acc<T>;
  for_rows(rows, columns, [&](int64_t r) {
    const T* __restrict logs = y + r * columns;
    const T* __restrict upstream = dy + r * columns;
    T* __restrict out = dx + r * columns;
    const A sum = lane_sum<A>(columns, [=](int64_t c) { return static_cast<A>(upstream[c]); });
    for_exp<A>(
        columns, [=](int64_t c) { return static_cast<A>(logs[c]); },
        [&](int64_t begin, const A* e, int64_t count) {
          for (int64_t i = 0; i < count; ++i)
            out[begin + i] = static_cast<T>(static_cast<A>(upstream[begin + i]) - e[i] * sum);
        });
  });
}

#define GALVAN_ROWS(T)                                                           \
  template void softmax_forward(Cpu, const T*, T*, int64_t, int64_t);            \
  template void softmax_backward(Cpu, const T*, const T*, T*, int64_t, int64_t); \
  template void log_softmax_forward(Cpu, const T*, T*, int64_t, int64_t);        \
  template void log_softmax_backward(Cpu, const T*, const T*, T*, int64_t, int64_t);
GALVAN_ROWS(float)
GALVAN_ROWS(double)
GALVAN_ROWS(bfloat16)

}  // namespace galvan
