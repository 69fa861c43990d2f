// Selection.
//   where: y[i, ..] = condition[i, ..] ? a[i, ..] : b[i, ..], strided inputs (0 repeats an element), y dense
//   tril:  y[b, r, c] = c <= r + diagonal ? x[b, r, c] : 0
// Memory   where numel (1 + 3 sizeof(T)) bytes, tril numel sizeof(T) and what it keeps of x
// Launch   where up to 16 bytes a thread (cuda/map.h), tril an element
#include "core/kernels.h"
#include "cuda/map.h"

namespace galvan {
namespace {

struct Select {
  template <class T>
  __device__ T operator()(bool condition, T a, T b) const {
    return condition ? a : b;
  }
};

template <class T>
__global__ void lower_triangle(const T* x, T* y, int64_t n, int64_t rows, int64_t columns, int64_t diagonal) {
  const int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (i >= n) return;
  const int64_t row = i / columns % rows, column = i % columns;
  y[i] = column <= row + diagonal ? x[i] : T{};
}

}  // namespace

template <class T>
void where(Cuda on, const bool* condition, const Strides& condition_strides, const T* a,
           const Strides& a_strides, const T* b, const Strides& b_strides, T* y, const Shape& shape) {
  map(on, Select{}, shape, Strided<T>{y, contiguous_strides(shape)},
      Strided<const bool>{condition, condition_strides}, Strided<const T>{a, a_strides},
      Strided<const T>{b, b_strides});
}

template <class T>
void tril(Cuda on, const T* x, T* y, int64_t batches, int64_t rows, int64_t columns, int64_t diagonal) {
  constexpr int kThreads = 256;
  const int64_t n = batches * rows * columns;
  if (n == 0) return;
  // A diagonal beyond the matrix is as good as one at its corner, and row + diagonal cannot overflow.
  const int64_t bounded = std::clamp(diagonal, -rows, columns);
  launch<lower_triangle<T>>(blocks_for(n, kThreads), kThreads, 0, on.stream, x, y, n, rows, columns, bounded);
}

#define GALVAN_WHERE(T)                                                                                      \
  template void where(Cuda, const bool*, const Strides&, const T*, const Strides&, const T*, const Strides&, \
                      T*, const Shape&);                                                                     \
  template void tril(Cuda, const T*, T*, int64_t, int64_t, int64_t, int64_t);
GALVAN_WHERE(float)
GALVAN_WHERE(double)
GALVAN_WHERE(bfloat16)
GALVAN_WHERE(int32_t)
GALVAN_WHERE(bool)

}  // namespace galvan
