// What -fsanitize=thread,alignment makes the compiler call, here without the sanitizers' libraries: each access of
// a kernel goes to the watch, and what is not aligned as its type asks is an error. The names and arguments are
// the compilers' (LLVM's interfaces of ThreadSanitizer and UndefinedBehaviorSanitizer).
#include <cstdint>
#include <cstring>

#include "cuda/sim/block.h"
#include "cuda/sim/check.h"
#include "cuda/sim/source_line.h"
#include "cuda/sim/watch.h"

namespace galvan::sim {
namespace {

void report(const void* address, size_t bytes, Access kind, const void* code) {
  if (!in_kernel_code || !watching()) return;
  const OutsideKernel outside;
  watching()->access(address, bytes, kind, code);
}

// What the compiler knows of an access that is to be aligned.
struct AlignedAccess {
  const char* file;
  uint32_t line, column;
  const void* type;
  uint8_t log_alignment;
  uint8_t kind;
};

void report_misaligned(const AlignedAccess& access, const void* address) {
  if (!in_kernel_code) return;
  const OutsideKernel
      outside;  // the text is put together by functions that may be the kernels' instrumented ones
  const size_t alignment = size_t{1} << access.log_alignment;
  Block::current()->error(concat("an access at ", address, ", which is not a multiple of ", alignment),
                          {access.file, static_cast<int>(access.line)});
}

}  // namespace
}  // namespace galvan::sim

using galvan::sim::Access;
using galvan::sim::report;

extern "C" {

void __tsan_init() { galvan::sim::start_checking(); }

#define GALVAN_HOOKS(bytes)                                             \
  void __tsan_read##bytes(void* address) {                              \
    report(address, bytes, Access::read, __builtin_return_address(0));  \
  }                                                                     \
  void __tsan_write##bytes(void* address) {                             \
    report(address, bytes, Access::write, __builtin_return_address(0)); \
  }                                                                     \
  void __tsan_unaligned_read##bytes(void* address) {                    \
    report(address, bytes, Access::read, __builtin_return_address(0));  \
  }                                                                     \
  void __tsan_unaligned_write##bytes(void* address) {                   \
    report(address, bytes, Access::write, __builtin_return_address(0)); \
  }
GALVAN_HOOKS(1)
GALVAN_HOOKS(2)
GALVAN_HOOKS(4)
GALVAN_HOOKS(8)
GALVAN_HOOKS(16)

void __tsan_read_range(void* address, size_t bytes) {
  report(address, bytes, Access::read, __builtin_return_address(0));
}
void __tsan_write_range(void* address, size_t bytes) {
  report(address, bytes, Access::write, __builtin_return_address(0));
}

void __ubsan_handle_type_mismatch_v1(const galvan::sim::AlignedAccess* access, const void* address) {
  galvan::sim::report_misaligned(*access, address);
}

// A virtual function's table is set or read; kernels have none.
void __tsan_vptr_update(void**, void*) {}
void __tsan_vptr_read(void**) {}
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}

// Instrumented sources call these for memcpy, memmove and memset (cuda/sim/device.h).
void* galvan_sim_memcpy(void* to, const void* from, size_t bytes) {
  report(from, bytes, Access::read, __builtin_return_address(0));
  report(to, bytes, Access::write, __builtin_return_address(0));
  return std::memcpy(to, from, bytes);
}
void* galvan_sim_memmove(void* to, const void* from, size_t bytes) {
  report(from, bytes, Access::read, __builtin_return_address(0));
  report(to, bytes, Access::write, __builtin_return_address(0));
  return std::memmove(to, from, bytes);
}
void* galvan_sim_memset(void* to, int value, size_t bytes) {
  report(to, bytes, Access::write, __builtin_return_address(0));
  return std::memset(to, value, bytes);
}

// Atomic operations, of host code: a kernel's are reported by name (atomic_access).
#define GALVAN_ATOMIC_UPDATE(bits, name)                                                                \
  uint##bits##_t __tsan_atomic##bits##_##name(volatile uint##bits##_t* at, uint##bits##_t value, int) { \
    return __atomic_##name(at, value, __ATOMIC_SEQ_CST);                                                \
  }
#define GALVAN_ATOMIC_HOOKS(bits)                                                                          \
  uint##bits##_t __tsan_atomic##bits##_load(const volatile uint##bits##_t* at, int) {                      \
    return __atomic_load_n(at, __ATOMIC_SEQ_CST);                                                          \
  }                                                                                                        \
  void __tsan_atomic##bits##_store(volatile uint##bits##_t* at, uint##bits##_t value, int) {               \
    __atomic_store_n(at, value, __ATOMIC_SEQ_CST);                                                         \
  }                                                                                                        \
  uint##bits##_t __tsan_atomic##bits##_exchange(volatile uint##bits##_t* at, uint##bits##_t value, int) {  \
    return __atomic_exchange_n(at, value, __ATOMIC_SEQ_CST);                                               \
  }                                                                                                        \
  GALVAN_ATOMIC_UPDATE(bits, fetch_add)                                                                    \
  GALVAN_ATOMIC_UPDATE(bits, fetch_sub)                                                                    \
  GALVAN_ATOMIC_UPDATE(bits, fetch_and)                                                                    \
  GALVAN_ATOMIC_UPDATE(bits, fetch_or)                                                                     \
  GALVAN_ATOMIC_UPDATE(bits, fetch_xor)                                                                    \
  int __tsan_atomic##bits##_compare_exchange_strong(volatile uint##bits##_t* at, uint##bits##_t* expected, \
                                                    uint##bits##_t value, int, int) {                      \
    return __atomic_compare_exchange_n(at, expected, value, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);    \
  }                                                                                                        \
  int __tsan_atomic##bits##_compare_exchange_weak(volatile uint##bits##_t* at, uint##bits##_t* expected,   \
                                                  uint##bits##_t value, int, int) {                        \
    return __atomic_compare_exchange_n(at, expected, value, true, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);     \
  }                                                                                                        \
  uint##bits##_t __tsan_atomic##bits##_compare_exchange_val(                                               \
      volatile uint##bits##_t* at, uint##bits##_t expected, uint##bits##_t value, int, int) {              \
    __atomic_compare_exchange_n(at, &expected, value, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);          \
    return expected;                                                                                       \
  }
GALVAN_ATOMIC_HOOKS(8)
GALVAN_ATOMIC_HOOKS(16)
GALVAN_ATOMIC_HOOKS(32)
GALVAN_ATOMIC_HOOKS(64)

void __tsan_atomic_thread_fence(int) { __atomic_thread_fence(__ATOMIC_SEQ_CST); }
void __tsan_atomic_signal_fence(int) { __atomic_signal_fence(__ATOMIC_SEQ_CST); }

}  // extern "C"
