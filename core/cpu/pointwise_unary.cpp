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

#define GALVAN_UNARY(F, T) template void unary(Cpu, F, const T*, T*, int64_t);
#define GALVAN_UNARY_FLOATING(F) GALVAN_UNARY(F, float) GALVAN_UNARY(F, double) GALVAN_UNARY(F, bfloat16)
#define GALVAN_UNARY_NUMBERS(F) GALVAN_UNARY_FLOATING(F) GALVAN_UNARY(F, int32_t)
GALVAN_UNARY_NUMBERS(AddScalar)
GALVAN_UNARY_NUMBERS(MulScalar)

}  // namespace galvan
