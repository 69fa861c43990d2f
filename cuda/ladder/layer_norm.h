// The ladder of layer norm's forward pass (and RMS norm's, which is one without a mean), in float and bfloat16; between
// its rungs is what training uses, cuda/norm.cu. What is counted of each: README.md.
#pragma once

#include "core/kernels.h"
#include "cuda/dialect.h"

namespace galvan::ladder {

template <class T>
void layer_norm_elements(cudaStream_t stream, const NormForward<T>& p);
// Rows of at most kMostInRegisters columns.
inline constexpr int64_t kMostInRegisters = 1024;
template <class T>
void layer_norm_in_registers(cudaStream_t stream, const NormForward<T>& p);

}  // namespace galvan::ladder
