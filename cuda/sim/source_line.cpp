#include "cuda/sim/source_line.h"

#include <link.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <vector>

#include "cuda/sim/place.h"

namespace galvan::sim {
namespace {

// By how much the system has moved the program from where it was linked to be.
uintptr_t load_address() {
  static const uintptr_t address = [] {
    uintptr_t found = 0;
    // The first entry is the program itself.
    const auto first = [](dl_phdr_info* program, size_t, void* result) {
      *static_cast<uintptr_t*>(result) = program->dlpi_addr;
      return 1;
    };
    dl_iterate_phdr(first, &found);
    return found;
  }();
  return address;
}

std::string program_path() {
  char path[4096];
  const ssize_t length = readlink("/proc/self/exe", path, sizeof path);
  return std::string(path, length > 0 ? static_cast<size_t>(length) : 0);
}

}  // namespace

bool is_constant(const void* address) {
  struct Range {
    uintptr_t begin, end;
  };
  static const std::vector<Range> ranges = [] {
    std::vector<Range> found;
    const auto first = [](dl_phdr_info* program, size_t, void* result) {
      for (int i = 0; i < program->dlpi_phnum; ++i) {
        const ElfW(Phdr)& part = program->dlpi_phdr[i];
        const uintptr_t begin = program->dlpi_addr + part.p_vaddr;
        if ((part.p_type == PT_LOAD && !(part.p_flags & PF_W)) || part.p_type == PT_GNU_RELRO)
          static_cast<std::vector<Range>*>(result)->push_back({begin, begin + part.p_memsz});
      }
      return 1;
    };
    dl_iterate_phdr(first, &found);
    return found;
  }();
  const uintptr_t at = reinterpret_cast<uintptr_t>(address);
  return std::any_of(ranges.begin(), ranges.end(), [&](Range r) { return at >= r.begin && at < r.end; });
}

size_t code_offset(const void* code) { return reinterpret_cast<uintptr_t>(code) - load_address(); }
const void* code_at(size_t offset) { return reinterpret_cast<const void*>(load_address() + offset); }

// Unknown places, the system's headers, the simulator's, the dialect's, and types that kernels share with the host.
constexpr const char* kNotTheKernels[] = {"?", "/", "cuda/sim/", "cuda/ptx.h", "cuda/dialect.h", "core/"};

std::string source_line(const void* code) {
  const std::string address = [&] {
    char hex[32];
    std::snprintf(hex, sizeof hex, "0x%zx",
                  code_offset(code) - 1);  // the call stands before its return address
    return std::string(hex);
  }();
  const std::string command = "addr2line -i -e '" + program_path() + "' " + address + " 2>/dev/null";
  const std::unique_ptr<FILE, int (*)(FILE*)> pipe(popen(command.c_str(), "r"), &pclose);
  char line[4096];
  while (pipe && std::fgets(line, sizeof line, pipe.get())) {  // the innermost inlined function comes first
    std::string place = line;
    place.erase(place.find_first_of("\n ", 0));  // "... (discriminator 2)"
    place = short_path(place);
    const bool inlined_into_it = std::any_of(std::begin(kNotTheKernels), std::end(kNotTheKernels),
                                             [&](const char* begin) { return place.starts_with(begin); });
    if (!inlined_into_it) return place;
  }
  return "code address " + address;
}

}  // namespace galvan::sim
