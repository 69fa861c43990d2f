// Ctrl-C and SIGTERM: the first asks the run to save and end, a second ends the process at once.
#pragma once

#include <atomic>

namespace galvan {

class Interrupt {
 public:
  // Catches the signals until destruction. One at a time.
  Interrupt();
  ~Interrupt();
  Interrupt(const Interrupt&) = delete;
  Interrupt& operator=(const Interrupt&) = delete;

  const std::atomic<bool>& requested() const;
  int exit_code() const;  // 128 + the signal's number, as shells have it
};

}  // namespace galvan
