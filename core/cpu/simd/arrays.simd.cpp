#include "core/cpu/simd/arrays.h"

#include "core/cpu/simd/math.h"

namespace galvan {

template <Isa>
void exp_array(int64_t n, const float* x, float* y) {
  using namespace GALVAN_ISA;
  constexpr int lanes = kLanes<float>;
  int64_t i = 0;
  for (; i + lanes <= n; i += lanes) store(y + i, exp(load(x + i)));
  if (i < n) {
    const int rest = static_cast<int>(n - i);
    store_n(y + i, exp(load_n(x + i, rest)), rest);
  }
}

template void exp_array<Isa::GALVAN_ISA>(int64_t, const float*, float*);

}  // namespace galvan
