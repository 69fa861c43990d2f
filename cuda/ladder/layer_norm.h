// The ladder of layer norm's forward pass (and RMS norm's, which is one without a mean); the last rung is
// cuda/norm_forward.cu. In float and bfloat16, packs in double too. What is counted of each: README.md.
#pragma once

#include "core/kernels.h"
#include "cuda/dialect.h"

namespace galvan::ladder {

template <class T>
void layer_norm_elements(cudaStream_t stream, const NormForward<T>& p);
template <class T>
void layer_norm_packs(cudaStream_t stream, const NormForward<T>& p);

}  // namespace galvan::ladder
