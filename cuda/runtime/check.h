// Errors of the CUDA runtime become galvan::Error: every call is checked.
//
//   GALVAN_CUDA_CALL(cudaStreamSynchronize(stream));
//   // "cuda: cudaStreamSynchronize(stream): an illegal memory access was encountered (cudaErrorIllegalAddress)"
#pragma once

#include <cuda_runtime.h>

#include "core/check.h"

namespace galvan {

inline void check_cuda(cudaError_t error, const char* call) {
  check(error == cudaSuccess, "cuda: ", call, ": ", cudaGetErrorString(error), " (", cudaGetErrorName(error),
        ")");
}

}  // namespace galvan

#define GALVAN_CUDA_CALL(call) ::galvan::check_cuda((call), #call)
