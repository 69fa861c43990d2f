// Where a tensor's data lives. A value: compare it, pass it, print it.
#pragma once

#include <cstdint>
#include <iosfwd>

namespace galvan {

struct Device {
  enum class Kind : uint8_t { cpu, cuda };
  Kind kind = Kind::cpu;
  int index = 0;

  bool is_cpu() const { return kind == Kind::cpu; }
  bool operator==(const Device&) const = default;
};

inline constexpr Device kCpu{};
inline constexpr Device kCuda{Device::Kind::cuda};

// "cpu", "cuda:0".
std::ostream& operator<<(std::ostream& out, Device device);

}  // namespace galvan
