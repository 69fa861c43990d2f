#include "cuda/sim/watch.h"

namespace galvan::sim {

KernelCode::KernelCode(const void* parameters, size_t bytes) {
  if (!watching()) return;
  parameters_begin = static_cast<const char*>(parameters);
  parameters_end = parameters_begin + bytes;
  in_kernel_code = true;
}

KernelCode::~KernelCode() { in_kernel_code = false; }

void atomic_access(const void* address, size_t bytes) {
  if (!in_kernel_code) return;
  const OutsideKernel outside;
  watching()->access(address, bytes, Access::atomic, __builtin_return_address(0));
}

}  // namespace galvan::sim
