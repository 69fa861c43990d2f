// Keeps a multiprocessor busy for a number of its cycles, whose length a clock outside then tells
// (core/cuda_backend.h: CardTimes).
// Memory   none
// Launch   one thread
#include "cuda/runtime/cycles.h"

#include "cuda/dialect.h"

namespace galvan {
namespace {

__global__ void wait_one_thread(long long cycles) {
  const long long begin = clock64();
  while (clock64() - begin < cycles) {
  }
}

}  // namespace

void wait_cycles(cudaStream_t stream, int64_t cycles) {
  launch<wait_one_thread>(1, 1, 0, stream, static_cast<long long>(cycles));
}

}  // namespace galvan
