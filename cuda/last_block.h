// Parts of a result that the blocks of one launch leave in memory, put together by the block that comes last: what else
// would take a second launch. Which block it is does not matter to the result.
#pragma once

#include "cuda/ptx.h"

namespace galvan {

// True in the last block to come here, which from then on sees what all of them have written before; every thread of every
// block comes. Blocks along z are of replicas (cuda/replicas.h), each with a counter of its own: counters[z] is 0 before
// the launch, and after it.
__device__ inline bool comes_last(unsigned* counters) {
  GALVAN_SHARED(bool, last);
  __syncthreads();  // the block has written all before it draws
  if (threadIdx.x == 0) {
    const unsigned highest = gridDim.x * gridDim.y - 1;
    last = draw_ticket(counters + blockIdx.z, highest) == highest;
  }
  __syncthreads();  // it has drawn before it reads
  return last;
}

}  // namespace galvan
