#include "apps/range_progress.h"

#include <algorithm>
#include <cstdio>

#include "apps/terminal.h"
#include "apps/text_format.h"
#include "core/check.h"

namespace galvan {

RangeProgress::RangeProgress(const std::string& what, int64_t steps)
    : what_(what), steps_(steps), terminal_(stdout_can_redraw()) {}

RangeProgress::~RangeProgress() {
  if (is_up_) std::printf("\r\x1b[K");
}

void RangeProgress::on_step(int64_t step, double value, double loss) {
  const auto now = Clock::now();
  if (now - shown_ < std::chrono::milliseconds(terminal_ ? 100 : 5000) && step != steps_) return;
  shown_ = now;
  const double elapsed = std::chrono::duration<double>(now - start_).count();
  const double left = elapsed / static_cast<double>(step) * static_cast<double>(steps_ - step);
  std::string line = concat(what_, "  step ", step, "/", steps_, "  ", printed("at %.3g", value),
                            printed("  loss %.4f", loss), "  ", duration(left), " left");
  if (terminal_) line.resize(std::min(line.size(), static_cast<size_t>(terminal_columns()) - 1));
  std::printf(terminal_ ? "\r%s\x1b[K" : "%s\n", line.c_str());
  std::fflush(stdout);
  is_up_ = terminal_;
}

}  // namespace galvan
