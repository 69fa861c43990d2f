// A line of the sources, for messages: std::source_location, which clang 14 does not have.
//
//   void __syncthreads(const Place& where = Place::current());   // the caller's
#pragma once

#include <cstring>
#include <string>

#include "core/check.h"

namespace galvan::sim {

struct Place {
  const char* file = "";
  int line = 0;

  static constexpr Place current(const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
    return {file, line};
  }
  bool operator==(const Place& other) const {
    return line == other.line && std::strcmp(file, other.file) == 0;
  }
  std::string text() const { return concat(file, ":", line); }
};

}  // namespace galvan::sim
