#include "cuda/sim/block.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <numeric>
#include <random>

#include "cuda/sim/device.h"
#include "cuda/sim/skip.h"
#include "cuda/sim/watch.h"

namespace galvan::sim {
namespace {

thread_local Block* current_block = nullptr;
ThreadOrder thread_order;

// What shared memory holds before a kernel has written it: as floats and as doubles these bytes are NaN.
constexpr int kPoison = 0xff;

}  // namespace

void set_thread_order(ThreadOrder order) { thread_order = order; }

std::string coordinates(uint64_t linear, dim3 size) {
  return concat("(", linear % size.x, ",", linear / size.x % size.y, ",", linear / size.x / size.y, ")");
}

std::vector<int> turns(int n) {
  std::vector<int> order(static_cast<size_t>(n));
  std::iota(order.begin(), order.end(), 0);
  if (thread_order.kind == ThreadOrder::reverse) std::reverse(order.begin(), order.end());
  if (thread_order.kind == ThreadOrder::shuffled)
    std::shuffle(order.begin(), order.end(), std::mt19937_64(thread_order.seed));
  return order;
}

Block* Block::current() { return current_block; }

Block::Block() : shared_(kSharedLimit + kMostGuards) {}
Block::~Block() = default;

void Block::run(const Launch& launch, uint3 index, FunctionRef<void()> body) {
  launch_ = &launch;
  index_ = index;
  body_ = &body;
  count_ = static_cast<int>(launch.block.x * launch.block.y * launch.block.z);
  done_ = waiting_ = 0;
  block_epoch_ = 0;
  error_.clear();

  order_ = turns(count_);
  next_in_order_ = 0;

  threads_.resize(std::max(threads_.size(), order_.size()));
  for (int t = 0; t < count_; ++t) {
    Thread& thread = threads_[static_cast<size_t>(t)];
    thread.state = State::unstarted;
    thread.fiber = nullptr;
    thread.warp_epoch = thread.meetings = 0;
    thread.copies.clear();
    thread.groups.clear();
  }
  shared_variables_.clear();
  static_bytes_used_ = 0;
  static_shared_end_ = (launch.dynamic_shared_bytes + 15) / 16 * 16;  // the dynamic part lies in front
  std::memset(shared_.data(), kPoison, launch.dynamic_shared_bytes);
  idle_fibers_.clear();
  for (const auto& fiber : fibers_) idle_fibers_.push_back(fiber.get());

  if (launch.watch)
    launch.watch->begin_block((uint64_t{index.z} * launch.grid.y + index.y) * launch.grid.x + index.x,
                              shared_.data(), launch.dynamic_shared_bytes);

  current_block = this;
  blockIdx = index;
  blockDim = launch.block;
  gridDim = launch.grid;
  while (done_ < count_ && error_.empty()) {
    const int before_done = done_, before_waiting = waiting_;
    bool ran = false;
    for (size_t i = 0; i < order_.size() && error_.empty(); ++i) {
      const State state = threads_[static_cast<size_t>(order_[i])].state;
      if (state != State::unstarted && state != State::ready) continue;
      ran = true;
      step(order_[i]);
    }
    if (!error_.empty() || done_ == count_) break;
    if (waiting_ + done_ == count_ && waiting_ > 0) {
      release_barrier();
    } else if (!ran && before_done == done_ && before_waiting == waiting_) {
      // Everybody waits: some at the barrier, some for lanes that will never come.
      for (int t = 0; t < count_; ++t) {
        const Thread& thread = threads_[static_cast<size_t>(t)];
        if (thread.state != State::in_warp_operation) continue;
        error_ = concat(name_of(t), " at ", thread.where.text(), ": ", thread.operation,
                        " waits for lanes that do not come to it");
        break;
      }
    }
  }
  current_block = nullptr;
  if (!error_.empty()) {
    for (const auto& fiber : fibers_) fiber->restart();
    throw KernelError(error_);
  }
}

void Block::run_threads(void* self) {
  Block& block = *static_cast<Block*>(self);
  Fiber* const fiber = block.threads_[static_cast<size_t>(block.thread_)].fiber;
  for (int thread = block.thread_; thread >= 0; thread = block.next_unstarted()) {
    block.threads_[static_cast<size_t>(thread)].fiber = fiber;
    block.enter(thread);
    block.run_one(thread);
  }
  block.idle_fibers_.push_back(fiber);
}

void Block::run_one(int t) {
  try {
    (*body_)();
  } catch (const std::exception& problem) {
    error_at(problem.what(), "");
  }
  Thread& thread = threads_[static_cast<size_t>(t)];
  land(thread, thread.copies.size());
  thread.state = State::done;
  ++done_;
}

int Block::next_unstarted() {
  while (next_in_order_ < order_.size()) {
    const int t = order_[next_in_order_++];
    if (threads_[static_cast<size_t>(t)].state == State::unstarted) return t;
  }
  return -1;
}

void Block::enter(int t) {
  thread_ = t;
  threads_[static_cast<size_t>(t)].state = State::ready;
  const unsigned u = static_cast<unsigned>(t);
  threadIdx = {u % launch_->block.x, u / launch_->block.x % launch_->block.y,
               u / (launch_->block.x * launch_->block.y)};
}

void Block::step(int t) {
  Thread& thread = threads_[static_cast<size_t>(t)];
  if (thread.state == State::unstarted) {
    if (idle_fibers_.empty()) {
      fibers_.push_back(std::make_unique<Fiber>(&run_threads, this));
      idle_fibers_.push_back(fibers_.back().get());
    }
    thread.fiber = idle_fibers_.back();
    idle_fibers_.pop_back();
    thread.fiber->restart();
  }
  enter(t);
  thread.fiber->resume();
}

void Block::suspend() {
  const int t = thread_;
  threads_[static_cast<size_t>(t)].fiber->suspend();
}

int Block::barrier(Barrier kind, int predicate, const Place& where) {
  const OutsideKernel outside;
  if (kind == Barrier::plain && is_skipped(where)) return 0;
  Thread& thread = threads_[static_cast<size_t>(thread_)];
  thread.state = State::at_barrier;
  thread.where = where;
  ++thread.meetings;
  thread.barrier = kind;
  thread.value = predicate;
  ++waiting_;
  suspend();
  return thread.value;
}

void Block::release_barrier() {
  int first = -1, votes = 0;
  for (int t = 0; t < count_; ++t) {
    const Thread& thread = threads_[static_cast<size_t>(t)];
    if (thread.state == State::done) continue;
    if (first < 0) first = t;
    const Thread& other = threads_[static_cast<size_t>(first)];
    if (thread.where != other.where) {
      error_ = concat(name_of(t), " waits at the barrier of ", thread.where.text(), ", but thread ", first,
                      " at that of ", other.where.text());
      return;
    }
    votes += thread.value != 0;
  }
  if (done_ > 0) {
    int gone = 0;
    while (threads_[static_cast<size_t>(gone)].state != State::done) ++gone;
    error_ = concat(name_of(first), " waits at the barrier of ",
                    threads_[static_cast<size_t>(first)].where.text(), ", but thread ", gone, " has ended");
    return;
  }
  for (int t = 0; t < count_; ++t) {
    Thread& thread = threads_[static_cast<size_t>(t)];
    thread.value = thread.barrier == Barrier::count ? votes
                   : thread.barrier == Barrier::all ? votes == count_
                                                    : votes > 0;
    thread.state = State::ready;
  }
  waiting_ = 0;
  ++block_epoch_;
  if (launch_->watch) launch_->watch->barrier();
}

unsigned Block::lanes_of_warp() const {
  const int rest = count_ - thread_ / kWarpSize * kWarpSize;
  return rest >= kWarpSize ? 0xffffffffu : (1u << rest) - 1u;
}

void Block::warp_barrier(unsigned mask, const Place& where) {
  const OutsideKernel outside;
  if (is_skipped(where)) return;
  const unsigned lanes = lanes_of_warp();
  warp_operation("__syncwarp", mask & lanes, &mask, nullptr,
                 where);  // lanes that are not there need not come
  if ((mask & lanes) == lanes) ++threads_[static_cast<size_t>(thread_)].warp_epoch;
  if (launch_->watch && lane() == std::countr_zero(mask & lanes)) launch_->watch->warp_barrier();
}

int Block::lane() const { return thread_ % kWarpSize; }

void Block::warp_operation(const char* name, unsigned mask, void* mine, Resolve resolve, const Place& where) {
  const OutsideKernel outside;
  const int lane = thread_ % kWarpSize, warp = thread_ - lane;
  Thread& thread = threads_[static_cast<size_t>(thread_)];
  if (!(mask >> lane & 1u))
    error(concat(name, " with a mask that leaves out the calling lane, ", lane), where);
  ++thread.meetings;
  thread.where = where;
  thread.operation = name;
  thread.mask = mask;
  thread.mine = mine;

  // The last lane to come finds all the others waiting.
  void* lanes[kWarpSize] = {};
  bool complete = true;
  for (int l = 0; l < kWarpSize; ++l) {
    if (!(mask >> l & 1u)) continue;
    if (warp + l >= count_) error(concat(name, " names lane ", l, ", which the block does not have"), where);
    const Thread& other = threads_[static_cast<size_t>(warp + l)];
    if (l == lane) {
      lanes[l] = mine;
    } else if (other.state == State::done) {
      error(concat(name, " names lane ", l, ", which has ended"), where);
    } else if (other.state == State::in_warp_operation && (other.mask >> lane & 1u)) {
      if (other.where != where)
        error(concat(name, " waits for lane ", l, ", which is in ", other.operation, " at ",
                     other.where.text()),
              where);
      if (other.mask != mask)
        error(concat(name, ": lanes ", lane, " and ", l, " give different masks"), where);
      lanes[l] = other.mine;
    } else {
      complete = false;
    }
  }
  if (!complete) {
    thread.state = State::in_warp_operation;
    suspend();
    return;
  }
  if (resolve) resolve(lanes);
  for (int l = 0; l < kWarpSize; ++l)
    if (lanes[l]) threads_[static_cast<size_t>(warp + l)].state = State::ready;
}

void* Block::shared_variable(const void* key, size_t bytes, size_t alignment, const Place& where) {
  const OutsideKernel outside;
  for (const SharedVariable& variable : shared_variables_)
    if (variable.key == key) return shared_.data() + variable.offset;
  const size_t guard = launch_->watch ? kGuardBytes : 0;
  const size_t offset = (static_shared_end_ + guard + alignment - 1) / alignment * alignment;
  static_bytes_used_ += bytes;
  const size_t dynamic = launch_->dynamic_shared_bytes;
  if (static_bytes_used_ > kStaticSharedLimit || dynamic + static_bytes_used_ > kSharedLimit)
    error(concat("uses ", static_bytes_used_, " bytes of static and ", dynamic,
                 " of dynamic shared memory, of ", kStaticSharedLimit, " and ", kSharedLimit, " in all"),
          where);
  // cuda/dialect.h asks for more than that by the dynamic memory alone.
  if (dynamic <= kStaticSharedLimit && dynamic + static_bytes_used_ > kStaticSharedLimit)
    error(concat("uses ", static_bytes_used_, " bytes of static and ", dynamic,
                 " of dynamic shared memory, of ", kStaticSharedLimit,
                 " that a launch may have without asking for more"),
          where);
  static_shared_end_ = offset + bytes;
  shared_variables_.push_back({key, offset});
  std::memset(shared_.data() + offset, kPoison, bytes);
  if (launch_->watch) launch_->watch->shared_variable(shared_.data() + offset, bytes);
  return shared_.data() + offset;
}

void* Block::dynamic_shared() { return shared_.data(); }

void Block::async_copy(void* to, const void* from, size_t bytes, size_t bytes_read) {
  const OutsideKernel outside;
  const void* const code = __builtin_return_address(0);
  if (launch_->watch) launch_->watch->async_copy_issued(to, from, bytes, bytes_read, code);
  threads_[static_cast<size_t>(thread_)].copies.push_back({to, from, bytes, bytes_read, code});
}

void Block::async_commit() {
  const OutsideKernel outside;
  Thread& thread = threads_[static_cast<size_t>(thread_)];
  thread.groups.push_back(thread.copies.size());
}

void Block::async_wait(size_t groups_left, const Place& where) {
  const OutsideKernel outside;
  if (is_skipped(where)) return;
  Thread& thread = threads_[static_cast<size_t>(thread_)];
  if (thread.groups.size() <= groups_left) return;
  const size_t finished = thread.groups.size() - groups_left, copies = thread.groups[finished - 1];
  land(thread, copies);
  thread.groups.erase(thread.groups.begin(), thread.groups.begin() + static_cast<ptrdiff_t>(finished));
  for (size_t& end : thread.groups) end -= copies;
}

void Block::land(Thread& thread, size_t copies) {
  for (size_t i = 0; i < copies; ++i) {
    const AsyncCopy& copy = thread.copies[i];
    if (launch_->watch) launch_->watch->async_copy_lands(copy.to, copy.bytes, copy.code);
    std::memcpy(copy.to, copy.from, copy.bytes_read);
    std::memset(static_cast<char*>(copy.to) + copy.bytes_read, 0, copy.bytes - copy.bytes_read);
  }
  thread.copies.erase(thread.copies.begin(), thread.copies.begin() + static_cast<ptrdiff_t>(copies));
}

void Block::error(const std::string& what, const Place& where) { error_at(what, where.text()); }

void Block::error_at(const std::string& what, const std::string& place) {
  const OutsideKernel outside;
  error_ = concat(name_of(thread_), place.empty() ? "" : " at ", place, ": ", what);
  suspend();  // for good: run() sees the error and gives the fibers up
  __builtin_unreachable();
}

bool Block::others_own_stack(const void* address) const {
  return std::any_of(fibers_.begin(), fibers_.end(),
                     [&](const auto& fiber) { return fiber->holds(address); });
}

std::string Block::name_of(int t) const {
  return concat(launch_->kernel, ", block (", index_.x, ",", index_.y, ",", index_.z, "), thread ",
                coordinates(static_cast<uint64_t>(t), launch_->block));
}

}  // namespace galvan::sim

long long clock64() {
  static thread_local long long cycles = 0;
  return cycles += 100;
}
