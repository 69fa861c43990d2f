// Pointwise ops of two inputs.
//   y[i, ..] = f(a[i, ..], b[i, ..]), a and b with strides of their own (0 repeats an element), y dense
// Memory   3 numel sizeof(T) bytes, less what a broadcast operand reads again from cache
// Compute  1 FLOP or so an element: bandwidth-bound
#include "core/cpu/walk.h"
#include "core/kernels.h"
#include "core/pointwise.h"

namespace galvan {
namespace {

constexpr int64_t kGrain = 1 << 14;  // elements a task

// Strides of 0 and 1, which are nearly all, get loops that the compiler vectorises.
template <int64_t kStepA, int64_t kStepB, class F, class T, class Y>
void row_of_known_steps(F f, const T* __restrict a, const T* __restrict b, Y* __restrict y, int64_t n) {
  for (int64_t i = 0; i < n; ++i)
    y[i] = static_cast<Y>(f(static_cast<Acc<T>>(a[i * kStepA]), static_cast<Acc<T>>(b[i * kStepB])));
}

}  // namespace

template <class F, class T, class Y>
void binary(Cpu, F f, const T* a, const Strides& a_strides, const T* b, const Strides& b_strides, Y* y,
            const Shape& shape) {
  const Strides y_strides = contiguous_strides(shape);
  const Walk<3> walk = merged<3>(shape, {&a_strides, &b_strides, &y_strides});
  const int64_t step_a = walk.inner(0), step_b = walk.inner(1);
  for_each_row(walk, kGrain, [&](const std::array<int64_t, 3>& at, int64_t n) {
    const T *in_a = a + at[0], *in_b = b + at[1];
    Y* out = y + at[2];
    if (step_a == 1 && step_b == 1) {
      row_of_known_steps<1, 1>(f, in_a, in_b, out, n);
    } else if (step_a == 1 && step_b == 0) {
      row_of_known_steps<1, 0>(f, in_a, in_b, out, n);
    } else if (step_a == 0 && step_b == 1) {
      row_of_known_steps<0, 1>(f, in_a, in_b, out, n);
    } else {
      for (int64_t i = 0; i < n; ++i)
        out[i] =
            static_cast<Y>(f(static_cast<Acc<T>>(in_a[i * step_a]), static_cast<Acc<T>>(in_b[i * step_b])));
    }
  });
}

#define GALVAN_BINARY(F, T, Y) \
  template void binary(Cpu, F, const T*, const Strides&, const T*, const Strides&, Y*, const Shape&);
#define GALVAN_BINARY_FLOATING(F) \
  GALVAN_BINARY(F, float, float)  \
  GALVAN_BINARY(F, double, double) GALVAN_BINARY(F, bfloat16, bfloat16)
#define GALVAN_BINARY_NUMBERS(F) GALVAN_BINARY_FLOATING(F) GALVAN_BINARY(F, int32_t, int32_t)
GALVAN_BINARY_NUMBERS(Add)
GALVAN_BINARY_NUMBERS(Sub)
GALVAN_BINARY_NUMBERS(Mul)
GALVAN_BINARY_FLOATING(Div)
GALVAN_BINARY_NUMBERS(Maximum)
GALVAN_BINARY_NUMBERS(Minimum)
GALVAN_BINARY_FLOATING(LargerShare)
GALVAN_BINARY_FLOATING(SmallerShare)

#define GALVAN_COMPARE(F)        \
  GALVAN_BINARY(F, float, bool)  \
  GALVAN_BINARY(F, double, bool) \
  GALVAN_BINARY(F, bfloat16, bool) GALVAN_BINARY(F, int32_t, bool)
GALVAN_COMPARE(Equal)
GALVAN_COMPARE(NotEqual)
GALVAN_COMPARE(Less)
GALVAN_COMPARE(LessEqual)
GALVAN_BINARY(Equal, bool, bool)
GALVAN_BINARY(NotEqual, bool, bool)

}  // namespace galvan
