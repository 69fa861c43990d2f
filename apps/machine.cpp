#include "apps/machine.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <fstream>
#include <vector>

#include "core/parallel.h"

namespace galvan {

std::string processor_name() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);)
    if (line.starts_with("model name"))
      if (const size_t colon = line.find(": "); colon != std::string::npos) return line.substr(colon + 2);
  return "unknown";
}

std::string compiler_name() {
#ifdef __clang__
  return "clang " __clang_version__;
#else
  return "g++ " __VERSION__;
#endif
}

int64_t physical_memory() {
  int64_t bytes = int64_t{::sysconf(_SC_PHYS_PAGES)} * ::sysconf(_SC_PAGE_SIZE);
  int64_t limit = 0;
  for (const char* path : {"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"})
    if (std::ifstream file(path); file >> limit && limit > 0) bytes = std::min(bytes, limit);
  return bytes;
}

double measure_copy_bandwidth() {
  constexpr size_t kBytes = size_t{64} << 20, kPiece = size_t{1} << 20;
  std::vector<char> from(kBytes, 1), to(kBytes, 2);
  const auto time_of_copy = [&] {
    const auto start = std::chrono::steady_clock::now();
    parallel_for(kBytes / kPiece, [&](int64_t piece) {
      const size_t begin = static_cast<size_t>(piece) * kPiece;
      std::memcpy(to.data() + begin, from.data() + begin, kPiece);
    });
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  };
  double best = time_of_copy();
  for (int i = 0; i < 4; ++i) best = std::min(best, time_of_copy());
  return 2.0 * kBytes / best;
}

}  // namespace galvan
