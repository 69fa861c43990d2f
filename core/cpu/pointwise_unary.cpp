// Pointwise ops of one input, on dense data.
//   y[i] = f(x[i])
//   dx[i] = dy[i] f'(saved[i]), saved being x or y
// Memory   2 n sizeof(T) bytes forward, 3 n sizeof(T) backward
// Compute  up to about 30 FLOPs an element (gelu)
#include "core/kernels.h"
#include "core/parallel.h"
#include "core/pointwise.h"

namespace galvan {
namespace {

constexpr int64_t kGrain = 1 << 13;  // elements a task

}  // namespace

template <class F, class T>
void unary(Cpu, F f, const T* x, T* y, int64_t n) {
  parallel_ranges(n, kGrain, [&](int64_t begin, int64_t end) {
    const T* __restrict in = x;
    T* __restrict out = y;
    for (int64_t i = begin; i < end; ++i) out[i] = static_cast<T>(f(static_cast<Acc<T>>(in[i])));
  });
}

template <class F, class T>
void unary_backward(Cpu, F f, const T* saved, const T* dy, T* dx, int64_t n) {
  parallel_ranges(n, kGrain, [&](int64_t begin, int64_t end) {
    const T* __restrict in = saved, * __restrict up = dy;
    T* __restrict out = dx;
    for (int64_t i = begin; i < end; ++i)
      out[i] = static_cast<T>(static_cast<Acc<T>>(up[i]) * f.derivative(static_cast<Acc<T>>(in[i])));
  });
}

#define GALVAN_UNARY(F, T) template void unary(Cpu, F, const T*, T*, int64_t);
#define GALVAN_UNARY_FLOATING(F) GALVAN_UNARY(F, float) GALVAN_UNARY(F, double) GALVAN_UNARY(F, bfloat16)
#define GALVAN_UNARY_NUMBERS(F) GALVAN_UNARY_FLOATING(F) GALVAN_UNARY(F, int32_t)
GALVAN_UNARY_NUMBERS(AddScalar)
GALVAN_UNARY_NUMBERS(MulScalar)
GALVAN_UNARY(Abs, int32_t)
GALVAN_UNARY(Clamp, int32_t)

#define GALVAN_BACKWARD(F, T) template void unary_backward(Cpu, F, const T*, const T*, T*, int64_t);
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
