// The checker behind the preset `simcheck`. The compiler's thread-sanitizer pass puts a call in front of every
// access to memory in the kernels; the calls (cuda/sim/hooks.cpp) end here. While a kernel runs it finds
//
//   - races: two accesses of one byte, one of them a write and not both atomic, with nothing that orders them.
//     Threads of a block are ordered by its barriers, those of a warp by a __syncwarp of all its lanes too (a
//     shuffle orders nothing), blocks of a launch by nothing, and operations on the card by streams, events
//     and the host's waiting;
//   - accesses outside of the card's allocated memory, of shared variables and of a thread's own variables:
//     past an end, after cudaFree, to the host's memory; and misaligned ones;
//   - reads of memory that nothing has written, and accesses to what an asynchronous copy has yet to write.
//
// Every launch is repeated under several thread orders, and must leave the same bits each time. GALVAN_SIM_ORDERS
// in the environment says how many: 8 unless told; with 0 nothing is checked, and kernels run once.
//
// An error ends the launch with a KernelError that names kernel, block, thread and line.
#pragma once

namespace galvan::sim {

// From now on every launch, copy and fill is checked. The instrumented sources call it when the program starts.
void start_checking();

}  // namespace galvan::sim
