#include "cuda/sim/block.h"

#include <algorithm>
#include <cstring>
#include <numeric>
#include <random>

#include "cuda/sim/device.h"

namespace galvan::sim {
namespace {

thread_local Block* current_block = nullptr;
ThreadOrder thread_order;

std::string triple(uint3 v) { return concat("(", v.x, ",", v.y, ",", v.z, ")"); }

// What shared memory holds before a kernel has written it: as floats and as doubles these bytes are NaN.
constexpr int kPoison = 0xff;

}  // namespace

void set_thread_order(ThreadOrder order) { thread_order = order; }

Block* Block::current() { return current_block; }

Block::Block() : shared_(kSharedLimit) {}
Block::~Block() = default;

void Block::run(const Launch& launch, uint3 index, FunctionRef<void()> body) {
  launch_ = &launch;
  index_ = index;
  body_ = &body;
  count_ = static_cast<int>(launch.block.x * launch.block.y * launch.block.z);
  done_ = waiting_ = 0;
  block_epoch_ = 0;
  error_.clear();

  order_.resize(static_cast<size_t>(count_));
  std::iota(order_.begin(), order_.end(), 0);
  if (thread_order.kind == ThreadOrder::reverse) std::reverse(order_.begin(), order_.end());
  if (thread_order.kind == ThreadOrder::shuffled)
    std::shuffle(order_.begin(), order_.end(), std::mt19937_64(thread_order.seed));
  next_in_order_ = 0;

  threads_.resize(std::max(threads_.size(), order_.size()));
  for (int t = 0; t < count_; ++t) {
    Thread& thread = threads_[static_cast<size_t>(t)];
    thread.state = State::unstarted;
    thread.fiber = nullptr;
    thread.warp_epoch = 0;
    thread.copies.clear();
    thread.groups.clear();
  }
  shared_variables_.clear();
  static_shared_bytes_ = (launch.dynamic_shared_bytes + 15) / 16 * 16;  // the dynamic part lies in front
  std::memset(shared_.data(), kPoison, shared_.size());
  idle_fibers_.clear();
  for (const auto& fiber : fibers_) idle_fibers_.push_back(fiber.get());

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
  Thread& thread = threads_[static_cast<size_t>(thread_)];
  thread.state = State::at_barrier;
  thread.where = where;
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
}

unsigned Block::lanes_of_warp() const {
  const int rest = count_ - thread_ / kWarpSize * kWarpSize;
  return rest >= kWarpSize ? 0xffffffffu : (1u << rest) - 1u;
}

void Block::warp_barrier_passed(unsigned mask) {
  const unsigned lanes = lanes_of_warp();
  if ((mask & lanes) == lanes) ++threads_[static_cast<size_t>(thread_)].warp_epoch;
}

void Block::warp_operation(const char* name, unsigned mask, void* mine, Resolve resolve, const Place& where) {
  const int lane = thread_ % kWarpSize, warp = thread_ - lane;
  Thread& thread = threads_[static_cast<size_t>(thread_)];
  if (!(mask >> lane & 1u))
    error(concat(name, " with a mask that leaves out the calling lane, ", lane), where);
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

void* Block::shared_variable(const void* key, size_t bytes, size_t alignment) {
  for (const SharedVariable& variable : shared_variables_)
    if (variable.key == key) return shared_.data() + variable.offset;
  const size_t offset = (static_shared_bytes_ + alignment - 1) / alignment * alignment;
  const size_t dynamic = (launch_->dynamic_shared_bytes + 15) / 16 * 16;
  if (offset + bytes - dynamic > kStaticSharedLimit || offset + bytes > kSharedLimit)
    error_at(concat("uses ", offset + bytes - dynamic, " bytes of static and ", launch_->dynamic_shared_bytes,
                    " of dynamic shared memory, of ", kStaticSharedLimit, " and ", kSharedLimit, " in all"),
             "");
  static_shared_bytes_ = offset + bytes;
  shared_variables_.push_back({key, offset});
  return shared_.data() + offset;
}

void* Block::dynamic_shared() { return shared_.data(); }

void Block::async_copy(void* to, const void* from, size_t bytes, size_t bytes_read) {
  threads_[static_cast<size_t>(thread_)].copies.push_back({to, from, bytes, bytes_read});
}

void Block::async_commit() {
  Thread& thread = threads_[static_cast<size_t>(thread_)];
  thread.groups.push_back(thread.copies.size());
}

void Block::async_wait(size_t groups_left) {
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
    std::memcpy(copy.to, copy.from, copy.bytes_read);
    std::memset(static_cast<char*>(copy.to) + copy.bytes_read, 0, copy.bytes - copy.bytes_read);
  }
  thread.copies.erase(thread.copies.begin(), thread.copies.begin() + static_cast<ptrdiff_t>(copies));
}

void Block::error(const std::string& what, const Place& where) { error_at(what, where.text()); }

void Block::error_at(const std::string& what, const std::string& place) {
  error_ = concat(name_of(thread_), place.empty() ? "" : " at ", place, ": ", what);
  suspend();  // for good: run() sees the error and gives the fibers up
  __builtin_unreachable();
}

bool Block::owns_stack(const void* address) const {
  return threads_[static_cast<size_t>(thread_)].fiber->holds(address);
}

bool Block::in_shared(const void* address) const {
  return address >= shared_.data() && address < shared_.data() + shared_.size();
}

std::string Block::name_of(int t) const {
  const unsigned u = static_cast<unsigned>(t), x = launch_->block.x, y = launch_->block.y;
  return concat(launch_->kernel, ", block ", triple(index_), ", thread ",
                triple({u % x, u / x % y, u / (x * y)}));
}

}  // namespace galvan::sim
