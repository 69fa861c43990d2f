// Pointwise ops of two inputs.
//   y[i, ..] = f(a[i, ..], b[i, ..]), a and b with strides of their own (0 repeats an element), y dense
// Memory   3 numel sizeof(T) bytes, less what a broadcast operand reads again from cache
// Compute  1 FLOP or so an element: bandwidth-bound
// Launch   up to 16 bytes a thread, 256 threads a block (cuda/map.h)
#include "core/kernels.h"
#include "core/pointwise.h"
#include "cuda/map.h"

namespace galvan {
namespace {

template <class F, class T, class Y>
struct Value {
  F f;
  __device__ Y operator()(T a, T b) const {
    return static_cast<Y>(f(static_cast<Acc<T>>(a), static_cast<Acc<T>>(b)));
  }
};

}  // namespace

template <class F, class T, class Y>
void binary(Cuda on, F f, const T* a, const Strides& a_strides, const T* b, const Strides& b_strides, Y* y,
            const Shape& shape) {
  map(on, Value<F, T, Y>{f}, shape, Strided<Y>{y, contiguous_strides(shape)}, Strided<const T>{a, a_strides},
      Strided<const T>{b, b_strides});
}

#define GALVAN_BINARY(F, T, Y) \
  template void binary(Cuda, F, const T*, const Strides&, const T*, const Strides&, Y*, const Shape&);
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
