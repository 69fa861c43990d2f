// A line of the sources, for messages: std::source_location, which clang 14 does not have.
//
//   void __syncthreads(const Place& where = Place::current());   // the caller's
#pragma once

#include <cstring>
#include <string>

namespace galvan::sim {

// A source file's name without the folder that the project's sources are in.
std::string short_path(std::string path);

struct Place {
  const char* file = "";
  int line = 0;

  static constexpr Place current(const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
    return {file, line};
  }
  bool operator==(const Place& other) const {
    return line == other.line && std::strcmp(file, other.file) == 0;
  }
  std::string text() const;  // "cuda/softmax.cu:42"
};

}  // namespace galvan::sim
