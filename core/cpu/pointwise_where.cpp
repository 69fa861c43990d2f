// Selection.
//   where: y[i, ..] = condition[i, ..] ? a[i, ..] : b[i, ..], strided inputs (0 repeats an element), y dense
//   tril:  y[b, r, c] = c <= r + diagonal ? x[b, r, c] : 0
#include <algorithm>

#include "core/cpu/walk.h"
#include "core/kernels.h"

namespace galvan {
namespace {

constexpr int64_t kGrain = 1 << 14;  // elements a task

// Strides of 0 and 1 get loops that the compiler vectorises: a and b are both loaded, then one is chosen.
template <int64_t kStepA, int64_t kStepB, class T>
void row_of_known_steps(const uint8_t* __restrict c, const T* __restrict a, const T* __restrict b,
                        T* __restrict y, int64_t n) {
  for (int64_t i = 0; i < n; ++i) {
    if constexpr (std::is_same_v<T, bfloat16>) {
      const uint16_t from_a = a[i * kStepA].bits, from_b = b[i * kStepB].bits;
      y[i].bits = c[i] != 0 ? from_a : from_b;
    } else {
      const T from_a = a[i * kStepA], from_b = b[i * kStepB];
      y[i] = c[i] != 0 ? from_a : from_b;
    }
  }
}

}  // namespace

template <class T>
void where(Cpu, const bool* condition, const Strides& condition_strides, const T* a, const Strides& a_strides,
           const T* b, const Strides& b_strides, T* y, const Shape& shape) {
  const Strides y_strides = contiguous_strides(shape);
  const Walk<4> walk = merged<4>(shape, {&condition_strides, &a_strides, &b_strides, &y_strides});
  const int64_t step_c = walk.inner(0), step_a = walk.inner(1), step_b = walk.inner(2);
  for_each_row(walk, kGrain, [&](const std::array<int64_t, 4>& at, int64_t n) {
    const bool* in_c = condition + at[0];
    const T *in_a = a + at[1], *in_b = b + at[2];
    T* out = y + at[3];
    const uint8_t* bytes = reinterpret_cast<const uint8_t*>(in_c);
    if (step_c == 1 && step_a == 1 && step_b == 1) {
      row_of_known_steps<1, 1>(bytes, in_a, in_b, out, n);
    } else if (step_c == 1 && step_a == 0 && step_b == 1) {
      row_of_known_steps<0, 1>(bytes, in_a, in_b, out, n);
    } else if (step_c == 1 && step_a == 1 && step_b == 0) {
      row_of_known_steps<1, 0>(bytes, in_a, in_b, out, n);
    } else {
      for (int64_t i = 0; i < n; ++i) out[i] = in_c[i * step_c] ? in_a[i * step_a] : in_b[i * step_b];
    }
  });
}

template <class T>
void tril(Cpu, const T* x, T* y, int64_t batches, int64_t rows, int64_t columns, int64_t diagonal) {
  if (batches * rows * columns == 0) return;
  // A diagonal beyond the matrix is as good as one at its corner, and r + diagonal cannot overflow.
  const int64_t bounded = std::clamp(diagonal, -rows, columns);
  parallel_ranges(batches * rows, std::max<int64_t>(1, kGrain / columns), [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      const int64_t kept = std::clamp<int64_t>(r % rows + bounded + 1, 0, columns);
      std::copy_n(x + r * columns, kept, y + r * columns);
      std::fill_n(y + r * columns + kept, columns - kept, T{});
    }
  });
}

#define GALVAN_WHERE(T)                                                                                     \
  template void where(Cpu, const bool*, const Strides&, const T*, const Strides&, const T*, const Strides&, \
                      T*, const Shape&);                                                                    \
  template void tril(Cpu, const T*, T*, int64_t, int64_t, int64_t, int64_t);
GALVAN_WHERE(float)
GALVAN_WHERE(double)
GALVAN_WHERE(bfloat16)
GALVAN_WHERE(int32_t)
GALVAN_WHERE(bool)

}  // namespace galvan
