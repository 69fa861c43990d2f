#include "cuda/sim/races.h"

#include "cuda/sim/block.h"
#include "cuda/sim/source_line.h"

namespace galvan::sim {
namespace {

bool same_warp(const Record& a, const Record& b) { return a.thread / kWarpSize == b.thread / kWarpSize; }

int distance(const Record& a, const Record& b) {
  return a.operation != b.operation ? 3 : a.block != b.block ? 2 : !same_warp(a, b) ? 1 : 0;
}

}  // namespace

uint32_t Races::begin(const Operation& operation) {
  seen_.push_back({operation.name, operation.grid, operation.block, operation.stream, operation.position});
  after_ = operation.after ? *operation.after : Clock();
  known_ordered_ = 0;
  draws_.clear();
  return static_cast<uint32_t>(seen_.size());
}

void Races::draw_ticket(const void* counter, uint32_t block, uint32_t block_epoch) {
  draws_.push_back({counter, block, block_epoch});
}

bool Races::ordered_by_tickets(const Record& before, const Record& now) const {
  for (size_t later = draws_.size(); later-- > 0;) {
    const Draw& mine = draws_[later];
    if (mine.block != now.block || mine.epoch >= now.block_epoch) continue;
    for (size_t earlier = 0; earlier < later; ++earlier) {
      const Draw& other = draws_[earlier];
      if (other.counter == mine.counter && other.block == before.block && before.block_epoch < other.epoch)
        return true;
    }
  }
  return false;
}

bool Races::ordered(const Record& before, const Record& now) const {
  if (before.operation != now.operation) {
    if (before.operation == known_ordered_) return true;
    const Seen& other = seen_[before.operation - 1];
    if (other.stream != seen_.back().stream &&
        (other.stream >= after_.size() || after_[other.stream] < other.position))
      return false;
    known_ordered_ = before.operation;
    return true;
  }
  if (before.block != now.block) return ordered_by_tickets(before, now);
  if (before.block_epoch != now.block_epoch) return true;
  if (before.several) return false;
  return before.thread == now.thread || (same_warp(before, now) && before.warp_epoch != now.warp_epoch);
}

const Record* Races::add(History& history, const Record& now, Access kind) const {
  Record& write = history.write;
  const bool atomics = write.operation && write.atomic && now.atomic && !ordered(write, now);
  if (write.operation && !atomics && !ordered(write, now)) return &write;
  if (kind == Access::read) {
    keep_read(history, now);
    return nullptr;
  }
  for (const Record& read : history.reads)
    if (read.operation && !ordered(read, now)) return &read;
  const bool other_block = write.operation != now.operation || write.block != now.block;
  write = now;
  write.several = atomics;
  if (atomics && other_block) write.block = kSeveralBlocks;
  history.reads[0] = history.reads[1] = {};
  return nullptr;
}

void Races::keep_read(History& history, const Record& now) const {
  for (Record& read : history.reads) {
    if (read.operation && !ordered(read, now)) continue;
    read = now;
    return;
  }
  if (distance(history.reads[0], now) > distance(history.reads[0], history.reads[1])) history.reads[1] = now;
}

std::string Races::thread_of(const Record& record) const {
  const Seen& operation = seen_[record.operation - 1];
  if (record.block == kSeveralBlocks) return "several blocks";
  return concat("block ", coordinates(record.block, operation.grid), ", thread ",
                coordinates(record.thread, operation.block));
}

std::string Races::describe(const History& history, const Record& other, const Record& now) const {
  const Seen& operation = seen_[other.operation - 1];
  const bool same_launch = other.operation == now.operation;
  const std::string who = operation.grid.x == 0 ? operation.name  // a copy or fill
                          : same_launch         ? thread_of(other)
                                                : concat(operation.name, ", ", thread_of(other), ",");
  const char* const missing = !same_launch               ? "no stream, event or wait"
                              : other.block != now.block ? "nothing"
                                                         : "no barrier";
  return concat(who, " has ", &other == &history.write ? "written" : "read",
                other.code ? concat(" at ", source_line(code_at(other.code))) : "", ", and ", missing,
                " orders the two");
}

}  // namespace galvan::sim
