// `galvan schedule`: what a schedule does, as figures or as a picture.
#include <iostream>

#include "apps/command.h"
#include "apps/schedule_output.h"
#include "apps/schedule_settings.h"
#include "apps/terminal.h"
#include "models/files.h"

namespace galvan {
namespace {

class ScheduleCommand : public Command {
 public:
  const char* name() const override { return "schedule"; }
  const char* about() const override { return "Draw or print a schedule of learning rate and momentum"; }
  const char* examples() const override {
    return R"(Examples:
  galvan schedule --policy cyclic --base-lr 0.001 --max-lr 0.1 --step-size-up 400 --steps 3000
  galvan schedule --policy one-cycle --max-lr 0.1 --steps 1000 --svg one-cycle.svg
  galvan schedule --policy cosine --lr 1e-3 --warmup 100 --steps 2000 --csv > cosine.csv

The schedules and their arguments are PyTorch's (cosine: nanoGPT's), and so are the values.)";
  }

  void add_options(Settings& settings) override {
    add_schedule_options(settings, schedule_, "policy");
    settings.add("steps", &steps_, "steps to show; default total-steps, or else 2000",
                 {.least = 1, .most = kMostSteps});
    settings.add("momentum", &momentum_, "the optimizer's own, shown where the schedule leaves it alone",
                 {.least = 0, .most = 1});
    settings.add("csv", &csv_, "print step,lr,momentum with 17 significant digits");
    settings.add("svg", &svg_, "write a picture to this file");
    settings.add_config(&config_);
  }

  int run(Settings& settings) override {
    if (!config_.empty()) settings.apply_file(config_);
    check_given(settings, schedule_);
    const int64_t steps = steps_ ? *steps_ : schedule_.total_steps.value_or(2000);
    if (steps > kMostSteps)
      throw UsageError(concat("--total-steps: ", steps, " are too many to show; --steps N shows the first"));
    resolve(schedule_, steps, schedule_.policy == "cyclic" || schedule_.policy == "one-cycle" ? 0.1 : 1e-3);
    const Schedule schedule = make_schedule(schedule_, steps);
    if (csv_) print_schedule_csv(std::cout, schedule, steps, momentum_);
    if (!svg_.empty()) write_file_atomically(svg_, charts::to_svg(schedule_charts(schedule, steps)));
    if (!csv_ && svg_.empty()) draw(schedule, steps);
    return 0;
  }

 private:
  static constexpr int64_t kMostSteps = 10'000'000;

  static void draw(const Schedule& schedule, int64_t steps) {
    const int columns = std::min(terminal_columns(), 100);
    const charts::TerminalStyle style{.unicode = terminal_has_utf8()};
    for (const charts::Chart& chart : schedule_charts(schedule, steps))
      std::cout << charts::to_terminal(chart, std::max(columns, 24), 16, style);
  }

  ScheduleSettings schedule_;
  std::optional<int64_t> steps_;
  std::optional<double> momentum_;
  bool csv_ = false;
  std::string svg_, config_;
};

}  // namespace

std::unique_ptr<Command> make_schedule_command() { return std::make_unique<ScheduleCommand>(); }

}  // namespace galvan
