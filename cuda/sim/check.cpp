#include "cuda/sim/check.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "cuda/sim/block.h"
#include "cuda/sim/counter.h"
#include "cuda/sim/device.h"
#include "cuda/sim/memory.h"
#include "cuda/sim/races.h"
#include "cuda/sim/rewind.h"
#include "cuda/sim/source_line.h"
#include "cuda/sim/watch.h"

namespace galvan::sim {
namespace {

constexpr size_t kSharedBytes = kSharedLimit + kMostGuards;

struct Order {
  ThreadOrder order;
  const char* name;
};

Order order_number(int i) {
  if (i == 0) return {{ThreadOrder::forward}, "forward"};
  if (i == 1) return {{ThreadOrder::reverse}, "in reverse"};
  return {{ThreadOrder::shuffled, static_cast<uint64_t>(i)}, "shuffled"};
}

int orders_wanted() {
  const char* const wanted = std::getenv("GALVAN_SIM_ORDERS");
  return wanted ? std::max(0, std::atoi(wanted)) : 8;
}

template <class T>
bool lies_in(const void* address, const T& variable) {
  const char* const begin = reinterpret_cast<const char*>(&variable);
  return address >= begin && address < begin + sizeof variable;
}

// What a kernel may read though it is in the host's memory: on a card it is in registers or constant memory.
bool is_readable(const void* address) {
  return (address >= parameters_begin && address < parameters_end) || lies_in(address, threadIdx) ||
         lies_in(address, blockIdx) || lies_in(address, blockDim) || lies_in(address, gridDim) ||
         is_constant(address);
}

const char* verb(Access kind) {
  return kind == Access::read ? "reads" : kind == Access::write ? "writes" : "updates";
}

class Checker final : public Watch {
 public:
  Checker()
      : orders_(orders_wanted()),
        base_(static_cast<char*>(device_memory())),
        global_(kDeviceMemoryBytes),
        shared_(kSharedBytes),
        rewind_(base_, global_.states(), kDeviceMemoryBytes) {}

  void launch(const Operation& operation, FunctionRef<void()> run_blocks) override {
    struct BackToForward {
      ~BackToForward() { set_thread_order({}); }
    } const at_the_end;
    rewind_.begin();
    operation_ = races_.begin(operation);
    counting_.begin(operation);
    for (int i = 0; i < orders_; ++i) {
      again_ = i > 0;
      if (again_) rewind_.back_to_the_start();
      const Order order = order_number(i);
      set_thread_order(order.order);
      run_blocks();
      counting_.end();
      if (const char* differs = rewind_.difference()) fail_for_order(operation, order.name, differs);
    }
  }

  void begin_block(uint64_t index, const void* shared, size_t dynamic) override {
    block_ = static_cast<uint32_t>(index);
    shared_base_ = static_cast<const char*>(shared);
    std::memset(shared_.states(), 0, shared_end_);
    std::memset(shared_.states(), Shadow::allocated, dynamic);
    shared_end_ = dynamic;
    counting_.begin_block(shared_base_);
  }

  void barrier() override { counting_.barrier(); }
  void warp_barrier() override { counting_.warp_barrier(); }

  void shared_variable(const void* address, size_t bytes) override {
    const size_t offset = shared_offset(address);
    std::memset(shared_.states() + offset, Shadow::allocated, bytes);
    shared_end_ = std::max(shared_end_, offset + bytes);
  }

  void access(const void* address, size_t bytes, Access kind, const void* code) override {
    counting_.access(address, bytes, kind, code);
    check_access(address, bytes, kind, code);
  }

  void one_access(const void* address, size_t bytes, const void* code) override {
    counting_.one_access(address, bytes, code);
  }

  void ticket(const unsigned* counter) override {
    if (!again_) races_.draw_ticket(counter, block_, Block::current()->block_epoch());
  }

  void async_copy_issued(const void* to, const void* from, size_t bytes, size_t bytes_read,
                         const void* code) override {
    if (again_) return;
    Block& block = *Block::current();
    if (!block.in_shared(to))
      block.error_at(concat("copies asynchronously to ", to, ", which is not shared memory"),
                     source_line(code));
    if (reinterpret_cast<uintptr_t>(to) % bytes != 0 || reinterpret_cast<uintptr_t>(from) % bytes != 0)
      block.error_at(concat("copies ", bytes, " bytes asynchronously from ", from, " to ", to,
                            ": one is not a multiple of ", bytes),
                     source_line(code));
    if (bytes_read > 0) access(from, bytes_read, Access::read, code);
    access(to, bytes, Access::write, code);
    uint8_t* const states = shared_.states() + shared_offset(to);
    for (size_t i = 0; i < bytes; ++i) states[i] |= Shadow::in_flight;
  }

  void async_copy_lands(const void* to, size_t bytes, const void* code) override {
    if (again_) return;
    uint8_t* const states = shared_.states() + shared_offset(to);
    for (size_t i = 0; i < bytes; ++i) states[i] &= static_cast<uint8_t>(~Shadow::in_flight);
    check_access(to, bytes, Access::write, code);
  }

  void copy(const Operation& operation, void* to, const void* from, size_t bytes) override {
    operation_ = races_.begin(operation);
    const bool from_card = is_device_address(from), to_card = is_device_address(to);
    if (from_card) touch_by_copy(operation, from, bytes, Access::read);
    if (!to_card) return;
    touch_by_copy(operation, to, bytes, Access::write);
    uint8_t* const states = global_.states() + device_offset(to);
    if (from_card) {
      std::memmove(states, global_.states() + device_offset(from), bytes);
    } else {
      std::memset(states, Shadow::allocated | Shadow::written, bytes);
    }
  }

  void fill(const Operation& operation, void* to, size_t bytes) override {
    operation_ = races_.begin(operation);
    if (!is_device_address(to)) return;
    touch_by_copy(operation, to, bytes, Access::write);
    std::memset(global_.states() + device_offset(to), Shadow::allocated | Shadow::written, bytes);
  }

  void library_call(const Operation& operation, const std::vector<Rows>& reads,
                    const std::vector<Rows>& writes) override {
    operation_ = races_.begin(operation);
    for (const Rows& range : reads)
      each_row(range, [&](const char* row) { touch_by_library(operation, row, range.bytes, Access::read); });
    for (const Rows& range : writes)
      each_row(range, [&](const char* row) { touch_by_library(operation, row, range.bytes, Access::write); });
  }

  void allocated(void* pointer, size_t bytes) override {
    const size_t offset = device_offset(pointer);
    std::memset(global_.states() + offset, Shadow::allocated, bytes);
    global_.forget_histories(offset, bytes);
  }

  void freed(void* pointer, size_t bytes) override {
    std::memset(global_.states() + device_offset(pointer), 0, bytes);
  }

 private:
  size_t shared_offset(const void* address) const {
    return static_cast<size_t>(static_cast<const char*>(address) - shared_base_);
  }

  void check_access(const void* address, size_t bytes, Access kind, const void* code) {
    if (again_) return access_again(address, bytes, kind);
    Block& block = *Block::current();
    if (block.owns_stack(address)) return;
    if (block.in_shared(address)) {
      touch(shared_, shared_offset(address), address, bytes, kind, code);
    } else if (is_device_address(address)) {
      if (kind != Access::read) rewind_.will_write(device_offset(address), bytes);
      touch(global_, device_offset(address), address, bytes, kind, code);
    } else if (kind != Access::read || !is_readable(address)) {
      block.error_at(
          concat(verb(kind), " ", bytes, " bytes at ", address, ", which is ",
                 block.others_own_stack(address) ? "another thread's variable" : "the host's memory"),
          source_line(code));
    }
  }

  Record record(Access kind, const void* code) const {
    const Block& block = *Block::current();
    return {operation_,
            block_,
            static_cast<uint16_t>(block.thread()),
            kind == Access::atomic,
            false,
            block.block_epoch(),
            block.warp_epoch(),
            static_cast<uint32_t>(code_offset(code))};
  }

  // In another order: what orders two accesses has been seen in the first.
  void access_again(const void* address, size_t bytes, Access kind) {
    if (kind == Access::read || !is_device_address(address)) return;
    const size_t offset = device_offset(address);
    rewind_.will_write(offset, bytes);
    for (size_t i = 0; i < bytes; ++i) global_.states()[offset + i] |= Shadow::written;
  }

  // By the thread that has its turn.
  void touch(Shadow& shadow, size_t offset, const void* address, size_t bytes, Access kind,
             const void* code) {
    const bool is_shared = &shadow == &shared_;
    const auto error = [&](const auto&... why) {
      Block::current()->error_at(
          concat(verb(kind), " ", bytes, " bytes of ", is_shared ? "shared" : "global", " memory", why...),
          source_line(code));
    };
    uint8_t* const states = shadow.states() + offset;
    uint8_t all = 0xff, any = 0;
    for (size_t i = 0; i < bytes; ++i) {
      all &= states[i];
      any |= states[i];
    }
    if (!(all & Shadow::allocated)) {
      std::string where = "is outside of the block's variables";
      if (!is_shared) is_device_range(address, bytes, &where);
      error(" at ", address, ", which ", where);
    }
    if (any & Shadow::in_flight) {
      std::string asked_at;
      shadow.each(offset, bytes, [&](History& history, size_t at) {
        if (asked_at.empty() && (shadow.states()[at] & Shadow::in_flight))
          asked_at = source_line(code_at(history.write.code));
      });
      error(" that an asynchronous copy is about to write: asked for at ", asked_at, ", not yet waited for");
    }
    const Record now = record(kind, code);
    shadow.each(offset, bytes, [&](History& history, size_t) {
      if (is_shared) forget_other_blocks(history);
      if (const Record* other = races_.add(history, now, kind))
        error(" that ", races_.describe(history, *other, now));
    });
    if (kind != Access::write && !(all & Shadow::written)) error(" that nothing has written");
    if (kind != Access::read)
      for (size_t i = 0; i < bytes; ++i) states[i] |= Shadow::written;
  }

  // Shared memory starts anew with every block.
  void forget_other_blocks(History& history) const {
    for (Record* record : {&history.write, &history.reads[0], &history.reads[1]})
      if (record->operation != operation_ || record->block != block_) *record = {};
  }

  void touch_by_copy(const Operation& operation, const void* address, size_t bytes, Access kind) {
    Record now{};
    now.operation = operation_;
    global_.each(device_offset(address), bytes, [&](History& history, size_t) {
      if (const Record* other = races_.add(history, now, kind))
        throw KernelError(concat(operation.name, ": ", verb(kind), " memory of the card that ",
                                 races_.describe(history, *other, now)));
    });
  }

  template <class F>
  static void each_row(const Rows& range, const F& visit) {
    for (size_t r = 0; r < range.rows; ++r) visit(static_cast<const char*>(range.address) + r * range.step);
  }

  void touch_by_library(const Operation& operation, const void* address, size_t bytes, Access kind) {
    touch_by_copy(operation, address, bytes, kind);
    uint8_t* const states = global_.states() + device_offset(address);
    for (size_t i = 0; i < bytes; ++i) {
      if (kind == Access::write) {
        states[i] |= Shadow::written;
      } else if (!(states[i] & Shadow::written)) {
        throw KernelError(concat(operation.name, ": reads ", bytes, " bytes of global memory at ", address,
                                 ", of which nothing has written byte ", i));
      }
    }
  }

  [[noreturn]] void fail_for_order(const Operation& operation, const char* order, const char* differs) {
    const size_t offset = device_offset(differs);
    std::string by;
    global_.each(offset, 1, [&](History& history, size_t) {
      by = concat(races_.thread_of(history.write), " at ", source_line(code_at(history.write.code)));
    });
    throw KernelError(concat(operation.name, ": leaves other bits when its threads take turns ", order,
                             " than forward, at ", static_cast<const void*>(differs), ", written by ", by));
  }

  int orders_;
  Counting& counting_ = Counting::of_launches();
  bool again_ = false;  // the launch has run in one order
  char* base_;
  Shadow global_, shared_;
  Races races_;
  Rewind rewind_;
  uint32_t operation_ = 0, block_ = 0;
  const char* shared_base_ = nullptr;
  size_t shared_end_ = 0;
};

void report_leaks() {
  const std::string unfreed = unfreed_memory();
  if (unfreed.empty()) return;
  std::fputs(unfreed.c_str(), stderr);
  std::fflush(nullptr);
  std::_Exit(EXIT_FAILURE);
}

}  // namespace

void start_checking() {
  if (watch || orders_wanted() == 0) return;
  watch = new Checker;  // lives as long as the program, and sees its last frees
  std::atexit(&report_leaks);
}

}  // namespace galvan::sim
