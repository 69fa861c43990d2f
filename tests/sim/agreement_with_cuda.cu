// By nvcc with CUDA's own headers: what cuda/sim/agreement.h and agreement_cublas.h assert, and that our bfloat16 has the bits of CUDA's. Runs
// on the host (scripts/check-kernels).
#include "cuda/sim/agreement.h"
#include "cuda/sim/agreement_cublas.h"

#include <cuda_bf16.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstdio>

#include "core/dtype.h"

using galvan::bfloat16;

static_assert(sizeof(bfloat16) == sizeof(__nv_bfloat16) && alignof(bfloat16) == alignof(__nv_bfloat16));

int main() {
  // Every upper half of a float, with lower halves around what rounding looks at.
  for (uint32_t upper = 0; upper < 0x10000; ++upper) {
    for (const uint32_t lower : {0x0000u, 0x0001u, 0x7fffu, 0x8000u, 0x8001u, 0xffffu}) {
      const float x = std::bit_cast<float>(upper << 16 | lower);
      const bfloat16 ours(x);
      const __nv_bfloat16 cudas = __float2bfloat16_rn(x);
      const bool same = std::isnan(x) ? std::isnan(float(ours)) && std::isnan(__bfloat162float(cudas))
                                      : ours.bits == std::bit_cast<uint16_t>(__nv_bfloat16_raw(cudas).x) &&
                                            float(ours) == __bfloat162float(cudas);
      if (same) continue;
      std::printf("bfloat16: %a becomes %#x here, %#x by CUDA\n", static_cast<double>(x), unsigned{ours.bits},
                  unsigned{__nv_bfloat16_raw(cudas).x});
      return 1;
    }
  }
  return 0;
}
