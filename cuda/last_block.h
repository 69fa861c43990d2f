// Parts of a result that the blocks of one launch leave in memory, put together by the block that comes last: what else
// would take a second launch. Which block it is does not matter to the result.
#pragma once

#include "cuda/ptx.h"

namespace galvan {

// True in the last block of the launch to come here, which from then on sees what all of them have written before;
// every thread of every block comes. *counter is 0 before the launch, and after it.
__device__ inline bool comes_last(unsigned* counter) {
  GALVAN_SHARED(bool, last);
  __syncthreads();  // the block has written all before it draws
  if (threadIdx.x == 0) {
    const unsigned highest = gridDim.x * gridDim.y * gridDim.z - 1;
    last = draw_ticket(counter, highest) == highest;
  }
  __syncthreads();  // it has drawn before it reads
  return last;
}

}  // namespace galvan
