// A card's own measure of time.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

namespace galvan {

// Puts a kernel on the stream that does nothing for so many cycles of a multiprocessor (cuda/clock.cu).
void wait_cycles(cudaStream_t stream, int64_t cycles);

}  // namespace galvan
