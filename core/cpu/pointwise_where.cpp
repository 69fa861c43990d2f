// Selection.
//   where: y[i, ..] = condition[i, ..] ? a[i, ..] : b[i, ..], strided inputs (0 repeats an element), y dense
//   tril:  y[b, r, c] = c <= r + diagonal ? x[b, r, c] : 0
#include <algorithm>

#include "core/cpu/walk.h"
#include "core/kernels.h"

namespace galvan {
namespace {

constexpr int64_t kGrain = 1 << 14;  // elements a task

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
    for (int64_t i = 0; i < n; ++i) out[i] = in_c[i * step_c] ? in_a[i * step_a] : in_b[i * step_b];
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
