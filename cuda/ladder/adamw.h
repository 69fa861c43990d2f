// The ladder of the optimizer's update, Adam's, in float and bfloat16: below what training uses, cuda/optimizer.cu. What is
// counted of each: README.md.
#pragma once

#include "core/kernels.h"
#include "cuda/dialect.h"

namespace galvan::ladder {

template <class T>
void adamw_per_piece(cudaStream_t stream, const UpdatePieces& pieces,
                     const AdamRule::Coefficients<Acc<T>>* coefficients, const StepControl* control,
                     const UpdateBlocks<T>& blocks);

}  // namespace galvan::ladder
