// What the machine is, and what it can do at most.
#pragma once

#include <cstdint>
#include <string>

namespace galvan {

std::string processor_name();

// Bytes of memory that this process may use: the machine's, or less in a container.
int64_t physical_memory();

// f32 operations per second of all the pool's threads, fused multiply-adds in registers only. Takes about `seconds`.
double measure_peak_flops(double seconds = 0.05);

// Bytes per second, read and written, of copying what no cache holds.
double measure_copy_bandwidth();

}  // namespace galvan
