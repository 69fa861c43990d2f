// Strided copy and fill.
//   y[i, ..] = x[i, ..], each with strides of its own (0 repeats an element), converted to y's type
// Memory   numel (sizeof(From) + sizeof(To)) bytes
// Launch   a pack of up to 16 bytes a thread, 256 threads a block (cuda/map.h)
#include "core/convert.h"
#include "core/kernels.h"
#include "cuda/map.h"

namespace galvan {
namespace {

template <class To>
struct Convert {
  template <class From>
  __device__ To operator()(From x) const {
    return convert<To>(x);
  }
};

template <class T>
struct Constant {
  T value;
  __device__ T operator()() const { return value; }
};

}  // namespace

template <class From, class To>
void strided_copy(Cuda on, const From* x, const Strides& x_strides, To* y, const Strides& y_strides,
                  const Shape& shape) {
  map(on, Convert<To>{}, shape, Strided<To>{y, y_strides}, Strided<const From>{x, x_strides});
}

template <class T>
void fill(Cuda on, T* y, const Strides& strides, const Shape& shape, T value) {
  map(on, Constant<T>{value}, shape, Strided<T>{y, strides});
}

#define GALVAN_COPY(From, To) \
  template void strided_copy(Cuda, const From*, const Strides&, To*, const Strides&, const Shape&);
#define GALVAN_COPY_FROM(From) \
  GALVAN_COPY(From, float)     \
  GALVAN_COPY(From, double)    \
  GALVAN_COPY(From, bfloat16)  \
  GALVAN_COPY(From, int32_t)   \
  GALVAN_COPY(From, bool) template void fill(Cuda, From*, const Strides&, const Shape&, From);
GALVAN_COPY_FROM(float)
GALVAN_COPY_FROM(double)
GALVAN_COPY_FROM(bfloat16)
GALVAN_COPY_FROM(int32_t)
GALVAN_COPY_FROM(bool)

}  // namespace galvan
