// For cards alone: the simulator has a launch of its own.
#include "cuda/runtime/launch.h"
#include "core/profile.h"
#include "cuda/runtime/check.h"
#include "cuda/runtime/kernel_name.h"

namespace galvan {

void allow_shared_memory(const void* kernel, size_t bytes) {
  GALVAN_CUDA_CALL(
      cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(bytes)));
}

bool may_start_early(const void* kernel) {
  cudaFuncAttributes code{};
  GALVAN_CUDA_CALL(cudaFuncGetAttributes(&code, kernel));
  return code.ptxVersion >= 90;
}

void check_launch(const void* kernel, dim3 grid, dim3 block, size_t shared_bytes) {
  const cudaError_t error = cudaGetLastError();
  check(error == cudaSuccess, "cuda: a launch as (", grid.x, ",", grid.y, ",", grid.z, ") blocks of (",
        block.x, ",", block.y, ",", block.z, ") threads with ", shared_bytes,
        " bytes of shared memory: ", cudaGetErrorString(error), " (", cudaGetErrorName(error), ")");
  if (!profile::t_listener) return;
  const char* name = nullptr;
  GALVAN_CUDA_CALL(cudaFuncGetName(&name, kernel));
  profile::t_listener->launches(short_kernel_name(name).c_str());
}

}  // namespace galvan
