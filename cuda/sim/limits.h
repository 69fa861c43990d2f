// What a launch may ask of the simulated card, which is an H100's share: blocks, threads, shared memory, and registers.
#pragma once

#include <istream>
#include <map>
#include <string>

#include "cuda/sim/block.h"

namespace galvan::sim {

inline constexpr unsigned kMostThreads = 1024, kMostThreadsZ = 64, kRegistersOfBlock = 65536;

// The registers that a thread of each kernel needs, of the instance that needs most: the table that
// scripts/check-kernels makes of nvcc's report (docs/kernels.md).
using RegisterTable = std::map<std::string, unsigned>;
RegisterTable read_register_table(std::istream& table);
// The project's own.
const RegisterTable& register_table();
// Of a kernel by its whole name, "galvan::softmax_rows<float>"; 0: it is not in the table.
unsigned registers_of(const std::string& kernel, const RegisterTable& registers);

// Throws Error when the launch asks for more than there is; registers of the kernels in the table.
void check_limits(const Launch& launch, const RegisterTable& registers);

}  // namespace galvan::sim
