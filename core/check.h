// Errors. A user's mistake throws galvan::Error with one line that names the operation and the facts:
//
//   check(a.size(1) == b.size(0), "matmul: inner dimensions differ, ", a.shape(), " @ ", b.shape());
//
// The parts are anything that prints to a stream; they are put together only when the check fails. A mistake
// of our own is an assert().
#pragma once

#include <sstream>
#include <stdexcept>
#include <string>

namespace galvan {

class Error : public std::runtime_error {
  using std::runtime_error::runtime_error;
};

template <class... Parts>
std::string concat(const Parts&... parts) {
  std::ostringstream out;
  (out << ... << parts);
  return out.str();
}

template <class... Parts>
[[noreturn]] void fail(const Parts&... parts) {
  throw Error(concat(parts...));
}

template <class... Parts>
void check(bool holds, const Parts&... parts) {
  if (!holds) [[unlikely]]
    fail(parts...);
}

}  // namespace galvan
