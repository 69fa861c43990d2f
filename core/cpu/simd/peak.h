// What the processor's arithmetic can do at most, to judge kernels by: fused multiply-adds in registers only.
#pragma once

#include <cstdint>

#include "core/cpu/simd/isa.h"

namespace galvan {

// Runs `rounds` rounds of fma_flops_per_round<isa>() operations in f32 in the calling thread, with enough
// independent sums to fill the pipelines. What it returns has no meaning; it keeps the work from being
// removed.
template <Isa>
float fma_rounds(int64_t rounds);

template <Isa>
int64_t fma_flops_per_round();

}  // namespace galvan
