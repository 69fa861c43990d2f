#include "cuda/sim/limits.h"

#include <algorithm>
#include <fstream>
#include <sstream>

#include "core/check.h"

namespace galvan::sim {
namespace {

constexpr unsigned kRegisterUnit = 8;  // a thread gets a multiple of it

// "flash::softmax_rows<float>" as the table has it: "softmax_rows".
std::string plain_name(std::string kernel) {
  kernel.erase(std::min(kernel.size(), kernel.find('<')));
  const size_t scope = kernel.rfind("::");
  return scope == kernel.npos ? kernel : kernel.substr(scope + 2);
}

}  // namespace

RegisterTable read_register_table(std::istream& table) {
  RegisterTable registers;
  for (std::string line; std::getline(table, line);) {
    // | file | kernel | instances | registers, least | most | static shared | local |
    std::istringstream cells(line);
    std::string bar, file, kernel;
    unsigned instances = 0, least = 0, most = 0;
    if (cells >> bar >> file >> bar >> kernel >> bar >> instances >> bar >> least >> bar >> most)
      registers[kernel] = std::max(registers[kernel], most);
  }
  return registers;
}

const RegisterTable& register_table() {
  static const RegisterTable table = [] {
    std::ifstream file(GALVAN_SOURCE_DIR "/docs/kernels.md");
    return read_register_table(file);
  }();
  return table;
}

unsigned registers_of(const std::string& kernel, const RegisterTable& registers) {
  const auto known = registers.find(plain_name(kernel));
  return known == registers.end() ? 0 : known->second;
}

void check_limits(const Launch& launch, const RegisterTable& registers) {
  const dim3 grid = launch.grid, block = launch.block;
  const auto require = [&](bool good, const auto&... rule) {
    check(good, launch.kernel, ": cannot be launched as (", grid.x, ",", grid.y, ",", grid.z, ") blocks of (",
          block.x, ",", block.y, ",", block.z, ") threads with ", launch.dynamic_shared_bytes,
          " bytes of shared memory: ", rule...);
  };
  const uint64_t threads = uint64_t{block.x} * block.y * block.z;
  require(threads >= 1 && threads <= kMostThreads, "a block has 1 to ", kMostThreads, " threads");
  require(block.z <= kMostThreadsZ, "a block has at most ", kMostThreadsZ, " threads along z");
  require(uint64_t{grid.x} * grid.y * grid.z >= 1, "a grid has at least 1 block");
  require(grid.x <= 0x7fffffffu && grid.y <= 65535 && grid.z <= 65535,
          "a grid has at most 2147483647, 65535 and 65535 blocks along x, y and z");
  require(launch.dynamic_shared_bytes <= kSharedLimit, "a block has at most ", kSharedLimit, " bytes");
  const uint64_t of_thread =
      (registers_of(launch.kernel, registers) + kRegisterUnit - 1) / kRegisterUnit * kRegisterUnit;
  const uint64_t warps = (threads + kWarpSize - 1) / kWarpSize;
  require(warps * kWarpSize * of_thread <= kRegistersOfBlock, "its threads need ", of_thread,
          " registers each by nvcc's report (docs/kernels.md), and a block has ", kRegistersOfBlock);
}

}  // namespace galvan::sim
