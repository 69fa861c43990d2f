// A matrix product in bfloat16 that goes through GELU's derivative on its way to memory (gemm_gelu_backward.cu).
#pragma once

#include "core/gemm_layout.h"
#include "core/kernels.h"

namespace galvan::fused {

// Whether the kernel is for that: one product of plain matrices, not large, whose rows are whole, aligned packs.
bool takes(const Gemm<bfloat16, bfloat16>& g, const bfloat16* kept);

// C = (A B) gelu'(kept), and dbias = sum_m C unless it is null; partial: scratch, row_blocks(m) n.
void gemm_gelu_backward(Cuda on, const Gemm<bfloat16, bfloat16>& g, const bfloat16* kept, bfloat16* dbias,
                        float* partial);

}  // namespace galvan::fused
