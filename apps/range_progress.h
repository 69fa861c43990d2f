// How far a range test has come.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace galvan {

// One line that is rewritten on a terminal, and elsewhere a line every few seconds.
class RangeProgress {
 public:
  // `what` begins each line.
  RangeProgress(const std::string& what, int64_t steps);
  ~RangeProgress();  // takes the line away
  RangeProgress(const RangeProgress&) = delete;
  RangeProgress& operator=(const RangeProgress&) = delete;

  // After `step` steps, the last with this value of what is tested.
  void on_step(int64_t step, double value, double loss);

 private:
  using Clock = std::chrono::steady_clock;
  std::string what_;
  int64_t steps_;
  bool terminal_, is_up_ = false;
  Clock::time_point start_ = Clock::now(), shown_ = {};
};

}  // namespace galvan
