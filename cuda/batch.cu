// A batch out of a token array that lies on the card.
//   x[b, t] = tokens[start(b) + t]        y[b, t] = tokens[start(b) + t + 1]
// Shapes   tokens: [n], x, y: [B, T], all i32; start(b) is BatchWindows::start of the step that *step says
// Memory   B (T + 1) 4 bytes read, asked for twice; 2 B T 4 written
// Launch   a block a row: its first thread works out where the row begins, all copy it
#include "core/kernels.h"
#include "cuda/replicas.h"

namespace galvan {
namespace {

constexpr int kThreads = 128;

__device__ void read_batch_block_per_row(BatchWindows windows, const int64_t* step, int64_t micro_step,
                                         const int32_t* tokens, int32_t* x, int32_t* y) {
  GALVAN_SHARED(int64_t, start);
  const int64_t row = blockIdx.x, T = windows.context;
  if (threadIdx.x == 0) start = windows.start(*step, micro_step, row);
  __syncthreads();  // all know where the row begins
  for (int64_t t = threadIdx.x; t < T; t += kThreads) {
    x[row * T + t] = tokens[start + t];
    y[row * T + t] = tokens[start + t + 1];
  }
}

__global__ void count_up_one_thread(int64_t* counter) { ++*counter; }

}  // namespace

void read_batch(Cuda on, const BatchWindows& windows, const int64_t* step, int64_t micro_step,
                const int32_t* tokens, int32_t* x, int32_t* y) {
  launch_body<read_batch_block_per_row, Body{}>(static_cast<unsigned>(windows.batch_size), kThreads, 0,
                                                on.stream, windows, step, micro_step, tokens, x, y);
}

void count_up(Cuda on, int64_t* counter) { launch<count_up_one_thread>(1, 1, 0, on.stream, counter); }

}  // namespace galvan
