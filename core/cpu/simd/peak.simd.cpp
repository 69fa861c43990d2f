#include "core/cpu/simd/peak.h"

#include "core/cpu/simd/vec.h"

namespace galvan {
namespace GALVAN_ISA {
namespace {
constexpr int kSums = 12;
}
}  // namespace GALVAN_ISA

template <Isa>
float fma_rounds(int64_t rounds) {
  using namespace GALVAN_ISA;
  Vec<float> sum[kSums];
#pragma GCC unroll 12
  for (int i = 0; i < kSums; ++i)
    sum[i] = broadcast(static_cast<float>(rounds + i));  // not known to the compiler
  const Vec<float> factor = broadcast(0.999f), term = broadcast(0.001f);
  for (int64_t round = 0; round < rounds; ++round) {
#pragma GCC unroll 12
    for (int i = 0; i < kSums; ++i) sum[i] = fma(sum[i], factor, term);
  }
  Vec<float> total = sum[0];
#pragma GCC unroll 12
  for (int i = 1; i < kSums; ++i) total += sum[i];
  return reduce_add(total);
}

template <Isa>
int64_t fma_flops_per_round() {
  return 2 * GALVAN_ISA::kSums * GALVAN_ISA::kLanes<float>;
}

template float fma_rounds<Isa::GALVAN_ISA>(int64_t);
template int64_t fma_flops_per_round<Isa::GALVAN_ISA>();

}  // namespace galvan
