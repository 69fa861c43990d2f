// What a kernel asks of memory, counted from its instrumented accesses (preset `simcheck`) as a card would serve them.
//
// The model. A request is what the lanes of one warp do at one instruction at one time. The simulator runs lanes
// after each other, so it has to say which accesses belong together: the k-th that a lane makes at an instruction
// since it last met other lanes (at a barrier, __syncwarp, shuffle, vote, ldmatrix or mma) belongs to the k-th that
// the other lanes of its warp, having met as often, make there. An instruction is a place in the host compiler's
// code and a kind (read, write, atomic); what one_access (cuda/dialect.h) announces is one instruction of up to 16
// bytes a lane, however many the host's compiler makes of it. A cp.async is a read of global memory and a write of
// shared memory.
//   Global memory   a request moves the sectors, 32 aligned bytes each, in which it has a byte. No cache is modelled:
//                   the distinct bytes of a launch are what a perfect one would fetch and write back.
//   Shared memory   has 32 banks of 4 bytes. A warp is served in passes: all its lanes at once where an access has up
//                   to 4 bytes, 16 lanes at a time for 8 bytes, 8 for 16. A pass takes as many transactions as there
//                   are different words in the bank that has most of them.
// Kernels' own variables and parameters count for nothing: on a card they are registers and constants.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cuda/sim/vector_types.h"

namespace galvan::sim {

struct Counts {
  std::string kernel;
  dim3 grid, block;

  // Global memory. Bytes are those that requests ask for: once, where several lanes of one ask for the same. An
  // atomic reads and writes. A distinct byte read is one that the launch has not written before.
  uint64_t bytes_read = 0, bytes_written = 0;
  uint64_t distinct_bytes_read = 0, distinct_bytes_written = 0;
  uint64_t requests = 0, sectors = 0;
  uint64_t uncoalesced =
      0;  // requests with two sectors or more beyond the fewest that hold their distinct bytes

  uint64_t shared_requests = 0, shared_transactions = 0;
  uint64_t bank_conflicts = 0;  // transactions beyond the first of a pass

  uint64_t barriers = 0;       // of blocks, once for each warp
  uint64_t warp_barriers = 0;  // __syncwarp, once for each warp
};

// From now on the launches that run are counted, each in its first order of threads; slow.
void start_counting();
// Those since then, in the order in which they ran; and the end of it.
std::vector<Counts> take_counts();

}  // namespace galvan::sim
