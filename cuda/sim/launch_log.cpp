#include "cuda/sim/launch_log.h"

#include <algorithm>
#include <fstream>
#include <map>
#include <optional>
#include <sstream>

#include "cuda/sim/limits.h"

namespace galvan::sim {
namespace {

std::optional<std::vector<LoggedLaunch>> logged;  // with the lock of enqueue() held

std::string plain_name(std::string kernel) {
  kernel.erase(std::min(kernel.size(), kernel.find('<')));
  const size_t scope = kernel.rfind("::");
  return scope == kernel.npos ? kernel : kernel.substr(scope + 2);
}

// The column "static shared" of docs/kernels.md.
const std::map<std::string, size_t>& static_shared() {
  static const std::map<std::string, size_t> table = [] {
    std::map<std::string, size_t> bytes;
    std::ifstream file(GALVAN_SOURCE_DIR "/docs/kernels.md");
    for (std::string line; std::getline(file, line);) {
      std::istringstream cells(line);
      std::string bar, source, kernel;
      size_t instances = 0, least = 0, most = 0, shared = 0;
      if (cells >> bar >> source >> bar >> kernel >> bar >> instances >> bar >> least >> bar >> most >> bar >>
          shared)
        bytes[kernel] = std::max(bytes[kernel], shared);
    }
    return bytes;
  }();
  return table;
}

template <class Table>
auto found(const Table& table, const std::string& kernel) {
  const auto entry = table.find(plain_name(kernel));
  return entry == table.end() ? typename Table::mapped_type() : entry->second;
}

}  // namespace

void start_launch_log() { logged.emplace(); }

std::vector<LoggedLaunch> take_launch_log() {
  std::vector<LoggedLaunch> launches = logged.value_or(std::vector<LoggedLaunch>());
  logged.reset();
  return launches;
}

void log_launch(const Launch& launch) {
  if (!logged) return;
  logged->push_back({launch.kernel, launch.grid, launch.block,
                     launch.dynamic_shared_bytes + found(static_shared(), launch.kernel),
                     found(register_table(), launch.kernel)});
}

double occupancy(unsigned threads, unsigned registers, size_t shared_bytes) {
  constexpr unsigned kWarps = 64, kBlocks = 32, kRegistersOfQuarter = 16384, kRegisterUnit = 256;
  constexpr size_t kShared = 228 * 1024, kSharedOfSystem = 1024;
  const unsigned warps = (threads + kWarpSize - 1) / kWarpSize;
  unsigned blocks = std::min(kBlocks, kWarps / warps);
  if (registers > 0) {
    const unsigned of_warp = (registers * kWarpSize + kRegisterUnit - 1) / kRegisterUnit * kRegisterUnit;
    blocks = std::min(blocks, 4 * (kRegistersOfQuarter / of_warp) / warps);
  }
  blocks = std::min(blocks, static_cast<unsigned>(kShared / (shared_bytes + kSharedOfSystem)));
  return static_cast<double>(blocks * warps) / kWarps;
}

}  // namespace galvan::sim
