// Who sees every access to memory that a kernel makes. The preset `simcheck` has the compiler report them
// (cuda/sim/check.h); elsewhere nobody watches.
#pragma once

#include <cstddef>

namespace galvan::sim {

enum class Access { read, write, atomic };

class Watch {
 public:
  virtual ~Watch() = default;
  // `code` is where in the program it happens.
  virtual void access(const void* address, size_t bytes, Access kind, const void* code) = 0;
};

inline Watch* watch = nullptr;
inline Watch* watching() { return watch; }

}  // namespace galvan::sim
