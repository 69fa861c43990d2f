#include "apps/progress.h"

#include <cstdio>

#include "apps/terminal.h"
#include "apps/text_format.h"

namespace galvan {
namespace {

constexpr std::chrono::milliseconds kTerminalPause{100}, kLogPause{5000};

}  // namespace

Progress::Progress(int64_t first_step, int64_t steps, double flops_per_token, double peak_flops)
    : terminal_(stdout_can_redraw()),
      first_step_(first_step),
      steps_(steps),
      flops_per_token_(flops_per_token),
      peak_flops_(peak_flops) {}

// "step 120/2000  loss 2.5034  lr 9.93e-04  momentum 0.90  61,204 tokens/s  43 % of peak  1:12 left", without the last
// parts where the terminal is too narrow.
std::string Progress::line(const StepReport& r) const {
  const double elapsed = std::chrono::duration<double>(Clock::now() - start_).count();
  const double left =
      elapsed / static_cast<double>(r.step - first_step_) * static_cast<double>(steps_ - r.step);
  const std::string parts[] = {
      "step " + std::to_string(r.step) + "/" + std::to_string(steps_),
      printed("loss %.4f", r.loss),
      printed("lr %.2e", r.lr),
      printed("momentum %.3g", r.momentum),
      with_commas(static_cast<int64_t>(tokens_per_second_)) + " tokens/s",
      peak_flops_ > 0 ? printed("%.0f %% of peak", 100 * tokens_per_second_ * flops_per_token_ / peak_flops_)
                      : std::string(),
      duration(left) + " left"};
  std::string text;
  const size_t room = terminal_ ? static_cast<size_t>(terminal_columns()) - 1 : std::string::npos;
  for (const std::string& part : parts) {
    if (part.empty()) continue;
    const std::string more = (text.empty() ? "" : "  ") + part;
    if (text.size() + more.size() > room) break;
    text += more;
  }
  return text;
}

void Progress::on_step(const StepReport& report) {
  recent_tokens_ += static_cast<double>(report.tokens);
  recent_seconds_ += report.seconds;
  const auto now = Clock::now();
  const bool last = report.step == steps_;
  if (now - shown_ < (terminal_ ? kTerminalPause : kLogPause) && !last) return;
  const double recent = recent_tokens_ / std::max(recent_seconds_, 1e-9);
  tokens_per_second_ =
      tokens_per_second_ == 0 || !terminal_ ? recent : 0.8 * tokens_per_second_ + 0.2 * recent;
  recent_tokens_ = recent_seconds_ = 0;
  shown_ = now;
  if (terminal_) {
    std::printf("\r%s\x1b[K", line(report).c_str());
    line_is_up_ = true;
  } else {
    std::printf("%s\n", line(report).c_str());
  }
  std::fflush(stdout);
}

void Progress::clear() {
  if (line_is_up_) std::printf("\r\x1b[K");
  line_is_up_ = false;
}

void Progress::print(const std::string& line) {
  clear();
  std::printf("%s\n", line.c_str());
  std::fflush(stdout);
}

void Progress::finish() {
  if (line_is_up_) std::printf("\n");
  line_is_up_ = false;
  std::fflush(stdout);
}

}  // namespace galvan
