// Which accesses of memory nothing orders: happens-before, as CUDA's memory model has it.
//
//   - Threads of a block are ordered by its barriers, those of a warp also by a __syncwarp of all its lanes. A
//     shuffle or a vote orders nothing.
//   - Blocks of one launch are ordered by the tickets that they draw (cuda/ptx.h) and by nothing else: what one has
//     done before its last barrier before it drew comes before what another, that drew later, does after its next.
//   - Operations on the card are ordered by their stream, by events that a stream waits for, and by the host
//     where it has waited for one before it asks for the other.
#pragma once

#include <string>
#include <vector>

#include "cuda/sim/shadow.h"
#include "cuda/sim/watch.h"

namespace galvan::sim {

class Races {
 public:
  // What comes next belongs to this operation. Returns its number.
  uint32_t begin(const Operation& operation);

  // A thread of this block draws a ticket of the counter.
  void draw_ticket(const void* counter, uint32_t block, uint32_t block_epoch);

  // Adds an access of the present operation to the history of what it touches; or returns the access there that
  // nothing orders before it, one of the two being a write and not both atomic.
  const Record* add(History& history, const Record& now, Access kind) const;

  // "thread (3,0,0) has written at cuda/softmax.cu:30, and no barrier orders the two", of what add() returned.
  std::string describe(const History& history, const Record& other, const Record& now) const;
  // "block (1,0,0), thread (3,0,0)"
  std::string thread_of(const Record& record) const;

 private:
  struct Seen {
    const char* name;
    dim3 grid, block;
    size_t stream;
    uint64_t position;
  };
  struct Draw {
    const void* counter;
    uint32_t block, epoch;
  };
  bool ordered(const Record& before, const Record& now) const;
  bool ordered_by_tickets(const Record& before, const Record& now) const;
  void keep_read(History& history, const Record& now) const;

  std::vector<Seen> seen_;
  std::vector<Draw> draws_;  // of the present operation, in their order
  Clock after_;
  mutable uint32_t known_ordered_ = 0;  // an operation that the present one comes after
};

}  // namespace galvan::sim
