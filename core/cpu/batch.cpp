// A batch out of a token array.
//   x[b, t] = tokens[start(b) + t]        y[b, t] = tokens[start(b) + t + 1]
// Shapes   tokens: [n], x, y: [B, T], all i32
#include <algorithm>

#include "core/kernels.h"

namespace galvan {

void read_batch(Cpu, const BatchWindows& windows, const int64_t* step, int64_t micro_step,
                const int32_t* tokens, int32_t* x, int32_t* y) {
  const int64_t T = windows.context;
  for (int64_t row = 0; row < windows.batch_size; ++row) {
    const int32_t* const from = tokens + windows.start(*step, micro_step, row);
    std::copy_n(from, T, x + row * T);
    std::copy_n(from + 1, T, y + row * T);
  }
}

void count_up(Cpu, int64_t* counter) { ++*counter; }

}  // namespace galvan
