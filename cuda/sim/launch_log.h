// Which kernels are launched, and how: what a card's graph would tell of its nodes.
#pragma once

#include <string>
#include <vector>

#include "cuda/sim/block.h"

namespace galvan::sim {

struct LoggedLaunch {
  std::string kernel;  // "softmax_rows<float>"
  dim3 grid, block;
  size_t shared_bytes;     // dynamic ones, and those that the kernel's code declares
  unsigned registers = 0;  // by the project's table (limits.h), of the instance that needs most; 0: not in it
};

// From now on launches are written down, in the order in which they are put on streams.
void start_launch_log();
// Those since then, and the end of it.
std::vector<LoggedLaunch> take_launch_log();

// Of every launch.
void log_launch(const Launch& launch);

// The share of a multiprocessor's 2,048 threads that blocks of a launch can fill on the simulated card, an H100: by
// threads, 65,536 registers, which a warp takes 256 at a time from its quarter of them, 228 KiB of shared memory, of
// which a block takes 1 KiB more than it asks for, and 32 blocks.
double occupancy(unsigned threads, unsigned registers, size_t shared_bytes);

}  // namespace galvan::sim
