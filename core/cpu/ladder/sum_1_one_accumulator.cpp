// Rung 1 of sum: one sum after the other, one number after the other.   y[o, i] = scale sum_l x[o, l, i]
// Next     sum_2_many_accumulators.cpp
// Costs    an addition waits for the one before (3 or 4 cycles), where the processor could start two vectors of them
//          a cycle; a sum over columns takes a line of cache for each element; the rounding error grows with the
//          length
// Figure   2,048 rows of 1,536 to their columns in f32: 13.7 ms, 9 % of the speed of a copy (best of 9, on an AMD
//          EPYC (Zen 3), 2026-11-27, one thread)
#include "core/cpu/ladder/ladder.h"
#include "core/pointwise.h"

namespace galvan::ladder {

template <class T>
void sum_one_accumulator(const T* x, T* y, int64_t outer, int64_t length, int64_t inner, double scale) {
  using A = Acc<T>;
  for (int64_t o = 0; o < outer; ++o)
    for (int64_t i = 0; i < inner; ++i) {
      A total{};
      for (int64_t l = 0; l < length; ++l)
        total = Add()(total, static_cast<A>(x[(o * length + l) * inner + i]));
      y[o * inner + i] = static_cast<T>(MulScalar{scale}(total));
    }
}

#define GALVAN_RUNG(T) template void sum_one_accumulator(const T*, T*, int64_t, int64_t, int64_t, double);
GALVAN_RUNG(float)
GALVAN_RUNG(double)
GALVAN_RUNG(bfloat16)
GALVAN_RUNG(int32_t)

}  // namespace galvan::ladder
