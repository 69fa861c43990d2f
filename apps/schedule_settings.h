// The options of learning-rate schedules, for `galvan train` and `galvan schedule` alike. Their names are those of
// PyTorch's arguments.
#pragma once

#include <optional>
#include <string>

#include "apps/settings.h"
#include "optim/schedule.h"

namespace galvan {

struct ScheduleSettings {
  std::string policy = "cosine";
  std::optional<double> lr, min_lr;       // the highest and the lowest learning rate
  std::optional<int64_t> warmup;          // of cosine
  std::optional<double> base_lr, max_lr;  // of cyclic; one-cycle has max_lr alone
  std::optional<int64_t> cycles;          // of cyclic, whole ones in the run: decides the step sizes
  std::optional<int64_t> step_size_up, step_size_down;
  std::string mode = "triangular";
  std::optional<double> gamma;
  std::optional<int64_t> step_size;
  bool cycle_momentum = true;
  std::optional<double> base_momentum, max_momentum;
  std::optional<int64_t> total_steps;
  std::string tail = "torch";  // of one-cycle: whose defaults the following have
  std::optional<double> pct_start;
  std::optional<std::string> anneal;
  std::optional<double> div_factor, final_div_factor;
  std::optional<bool> three_phase;
};

// `policy_option` is what the choice of the schedule is called: "schedule" or "policy".
void add_schedule_options(Settings& settings, ScheduleSettings& schedule, const char* policy_option);

// Throws when the command line has an option that does nothing with the chosen schedule.
void check_given(const Settings& settings, const ScheduleSettings& schedule);

// Gives what is not set the defaults of its policy for a run of `steps` steps. `lr` is what a schedule rises to unless
// told otherwise.
void resolve(ScheduleSettings& schedule, int64_t steps, double lr);

// Of resolved settings. Throws what the schedule has to say about them.
Schedule make_schedule(const ScheduleSettings& schedule, int64_t steps);

}  // namespace galvan
