// Pointwise ops of one input, on dense data.
//   y[i] = f(x[i])
//   dx[i] = dy[i] f'(saved[i]), saved being x or y
// Memory   2 n sizeof(T) bytes forward, 3 n sizeof(T) backward
// Compute  up to about 30 FLOPs an element (gelu): bandwidth-bound
// Launch   16 bytes a thread, 256 threads a block (cuda/map.h)
#include "core/kernels.h"
#include "core/pointwise.h"
#include "cuda/map.h"

namespace galvan {
namespace {

template <class F, class T>
struct Value {
  F f;
  __device__ T operator()(T x) const { return static_cast<T>(f(static_cast<Acc<T>>(x))); }
};

template <class F, class T>
struct Gradient {
  F f;
  __device__ T operator()(T saved, T dy) const {
    return static_cast<T>(static_cast<Acc<T>>(dy) * f.derivative(static_cast<Acc<T>>(saved)));
  }
};

}  // namespace

template <class T>
inline constexpr bool kInSteps<Value<GeluTanh, T>> = true;

template <class F, class T>
void unary(Cuda on, F f, const T* x, T* y, int64_t n) {
  map_dense(on, Value<F, T>{f}, n, y, x);
}

template <class F, class T>
void unary_backward(Cuda on, F f, const T* saved, const T* dy, T* dx, int64_t n) {
  map_dense(on, Gradient<F, T>{f}, n, dx, saved, dy);
}

#define GALVAN_UNARY(F, T) template void unary(Cuda, F, const T*, T*, int64_t);
#define GALVAN_UNARY_FLOATING(F) GALVAN_UNARY(F, float) GALVAN_UNARY(F, double) GALVAN_UNARY(F, bfloat16)
#define GALVAN_UNARY_NUMBERS(F) GALVAN_UNARY_FLOATING(F) GALVAN_UNARY(F, int32_t)
GALVAN_UNARY_NUMBERS(AddScalar)
GALVAN_UNARY_NUMBERS(MulScalar)
GALVAN_UNARY(Abs, int32_t)
GALVAN_UNARY(Clamp, int32_t)

#define GALVAN_BACKWARD(F, T) template void unary_backward(Cuda, F, const T*, const T*, T*, int64_t);
#define GALVAN_DIFFERENTIABLE(F) \
  GALVAN_UNARY_FLOATING(F)       \
  GALVAN_BACKWARD(F, float) GALVAN_BACKWARD(F, double) GALVAN_BACKWARD(F, bfloat16)
GALVAN_DIFFERENTIABLE(Square)
GALVAN_DIFFERENTIABLE(Pow)
GALVAN_DIFFERENTIABLE(Exp)
GALVAN_DIFFERENTIABLE(Log)
GALVAN_DIFFERENTIABLE(Sqrt)
GALVAN_DIFFERENTIABLE(Abs)
GALVAN_DIFFERENTIABLE(Clamp)
GALVAN_DIFFERENTIABLE(Relu)
GALVAN_DIFFERENTIABLE(Silu)
GALVAN_DIFFERENTIABLE(Tanh)
GALVAN_DIFFERENTIABLE(Sigmoid)
GALVAN_DIFFERENTIABLE(GeluTanh)
GALVAN_DIFFERENTIABLE(GeluExact)

}  // namespace galvan
