#include "cuda/sim/watch.h"

#include <string>

#include "cuda/sim/block.h"
#include "cuda/sim/memory.h"

namespace galvan::sim {

KernelCode::KernelCode(const void* parameters, size_t bytes) {
  if (!watching()) return;
  parameters_begin = static_cast<const char*>(parameters);
  parameters_end = parameters_begin + bytes;
  in_kernel_code = true;
}

KernelCode::~KernelCode() { in_kernel_code = false; }

void call_library(const Operation& operation, const std::vector<Rows>& reads,
                  const std::vector<Rows>& writes) {
  for (const std::vector<Rows>* all : {&reads, &writes}) {
    for (const Rows& range : *all) {
      for (size_t r = 0; r < range.rows; ++r) {
        const char* const row = static_cast<const char*>(range.address) + r * range.step;
        std::string where;
        if (!is_device_range(row, range.bytes, &where))
          throw KernelError(concat(operation.name, ": ", all == &reads ? "reads " : "writes ", range.bytes,
                                   " bytes at ", row, ", which ", where));
      }
    }
  }
  if (watching()) watching()->library_call(operation, reads, writes);
}

void one_access(const void* address, size_t bytes) {
  if (!in_kernel_code) return;
  const OutsideKernel outside;
  watching()->one_access(address, bytes, __builtin_return_address(0));
}

void atomic_access(const void* address, size_t bytes) {
  if (!in_kernel_code) return;
  const OutsideKernel outside;
  watching()->access(address, bytes, Access::atomic, __builtin_return_address(0));
}

void ticket_access(const unsigned* counter) {
  if (!in_kernel_code) return;
  const OutsideKernel outside;
  watching()->access(counter, sizeof *counter, Access::atomic, __builtin_return_address(0));
  watching()->ticket(counter);
}

}  // namespace galvan::sim
