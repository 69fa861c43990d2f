// Fibers on Boost.Context's bare switch, which takes a few nanoseconds; its own fiber class cannot be followed
// by AddressSanitizer in Debian's build, so the switches are announced by hand.
#include "cuda/sim/fiber.h"

#include <sys/mman.h>
#include <unistd.h>

#include <boost/context/detail/fcontext.hpp>

#include "core/check.h"

#ifdef __SANITIZE_ADDRESS__
#define GALVAN_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define GALVAN_ASAN 1
#endif
#endif
#ifdef GALVAN_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

namespace galvan::sim {

using boost::context::detail::fcontext_t;
using boost::context::detail::jump_fcontext;
using boost::context::detail::make_fcontext;
using boost::context::detail::transfer_t;

namespace {

void leave([[maybe_unused]] void** fake_stack, [[maybe_unused]] const void* stack,
           [[maybe_unused]] size_t bytes) {
#ifdef GALVAN_ASAN
  __sanitizer_start_switch_fiber(fake_stack, stack, bytes);
#endif
}

void arrive([[maybe_unused]] void* fake_stack, [[maybe_unused]] const void** stack,
            [[maybe_unused]] size_t* bytes) {
#ifdef GALVAN_ASAN
  __sanitizer_finish_switch_fiber(fake_stack, stack, bytes);
#endif
}

}  // namespace

struct Fiber::Entry {
  static void run(transfer_t from) {
    Fiber& fiber = *static_cast<Fiber*>(from.data);
    arrive(nullptr, &fiber.outside_stack_, &fiber.outside_stack_bytes_);
    fiber.outside_ = from.fctx;
    fiber.body_(fiber.argument_);
    leave(nullptr, fiber.outside_stack_, fiber.outside_stack_bytes_);
    jump_fcontext(fiber.outside_, nullptr);
  }
};

Fiber::Fiber(void (*body)(void*), void* argument) : body_(body), argument_(argument) {
  const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  mapping_ = mmap(nullptr, page + kStackBytes, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  check(mapping_ != MAP_FAILED, "simulator: out of memory for the stack of a thread");
  mprotect(mapping_, page, PROT_NONE);
  stack_ = static_cast<char*>(mapping_) + page;
  restart();
}

Fiber::~Fiber() {
  munmap(mapping_,
         static_cast<size_t>(static_cast<char*>(stack_) - static_cast<char*>(mapping_)) + kStackBytes);
}

void Fiber::restart() {
#ifdef GALVAN_ASAN
  __asan_unpoison_memory_region(stack_, kStackBytes);
#endif
  inside_ = make_fcontext(static_cast<char*>(stack_) + kStackBytes, kStackBytes, &Entry::run);
  inside_fake_stack_ = nullptr;
}

void Fiber::resume() {
  void* fake_stack = nullptr;
  leave(&fake_stack, stack_, kStackBytes);
  const transfer_t back = jump_fcontext(inside_, this);
  arrive(fake_stack, nullptr, nullptr);
  inside_ = back.fctx;
}

void Fiber::suspend() {
  leave(&inside_fake_stack_, outside_stack_, outside_stack_bytes_);
  const transfer_t back = jump_fcontext(outside_, nullptr);
  arrive(inside_fake_stack_, &outside_stack_, &outside_stack_bytes_);
  outside_ = back.fctx;
}

}  // namespace galvan::sim
