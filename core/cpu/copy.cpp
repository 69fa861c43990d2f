// Strided copy and fill.
//   y[i, ..] = x[i, ..], each with strides of its own (0 repeats an element), converted to y's type
// Memory   numel (sizeof(From) + sizeof(To)) bytes
#include "core/convert.h"
#include "core/cpu/walk.h"
#include "core/kernels.h"

namespace galvan {
namespace {

constexpr int64_t kGrain = 1 << 14;  // elements a task

}  // namespace

template <class From, class To>
void strided_copy(Cpu, const From* x, const Strides& x_strides, To* y, const Strides& y_strides,
                  const Shape& shape) {
  const Walk<2> walk = merged<2>(shape, {&x_strides, &y_strides});
  const int64_t dx = walk.inner(0), dy = walk.inner(1);
  for_each_row(walk, kGrain, [&](const std::array<int64_t, 2>& at, int64_t n) {
    const From* in = x + at[0];
    To* out = y + at[1];
    if (dx == 1 && dy == 1) {
      for (int64_t i = 0; i < n; ++i) out[i] = convert<To>(in[i]);
    } else {
      for (int64_t i = 0; i < n; ++i) out[i * dy] = convert<To>(in[i * dx]);
    }
  });
}

template <class T>
void fill(Cpu, T* y, const Strides& strides, const Shape& shape, T value) {
  const Walk<1> walk = merged<1>(shape, {&strides});
  const int64_t step = walk.inner(0);
  for_each_row(walk, kGrain, [&](const std::array<int64_t, 1>& at, int64_t n) {
    for (int64_t i = 0; i < n; ++i) y[at[0] + i * step] = value;
  });
}

#define GALVAN_COPY(From, To) \
  template void strided_copy(Cpu, const From*, const Strides&, To*, const Strides&, const Shape&);
#define GALVAN_COPY_FROM(From) \
  GALVAN_COPY(From, float)     \
  GALVAN_COPY(From, double)    \
  GALVAN_COPY(From, bfloat16)  \
  GALVAN_COPY(From, int32_t)   \
  GALVAN_COPY(From, bool) template void fill(Cpu, From*, const Strides&, const Shape&, From);
GALVAN_COPY_FROM(float)
GALVAN_COPY_FROM(double)
GALVAN_COPY_FROM(bfloat16)
GALVAN_COPY_FROM(int32_t)
GALVAN_COPY_FROM(bool)

}  // namespace galvan
