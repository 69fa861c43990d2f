// The progress of a training run on standard output: on a terminal one line that is rewritten in place, elsewhere a line
// every few seconds.
#pragma once

#include <chrono>
#include <string>

#include "models/trainer.h"

namespace galvan {

class Progress {
 public:
  // A run that is at `first_step` of `steps`. `peak_flops` is what the machine can do at most, a second.
  Progress(int64_t first_step, int64_t steps, double flops_per_token, double peak_flops);

  ~Progress() { finish(); }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void on_step(const StepReport& report);

  // A line that stays, above the one that is rewritten.
  void print(const std::string& line);

  // Leaves the last progress line where it stands.
  void finish();

 private:
  using Clock = std::chrono::steady_clock;
  std::string line(const StepReport& report) const;
  void clear();

  bool terminal_;
  int64_t first_step_, steps_;
  double flops_per_token_, peak_flops_;
  Clock::time_point start_ = Clock::now(), shown_ = {};
  double tokens_per_second_ = 0;
  double recent_tokens_ = 0, recent_seconds_ = 0;  // since the line was last shown
  bool line_is_up_ = false;
};

}  // namespace galvan
