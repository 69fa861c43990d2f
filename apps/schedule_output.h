// What `galvan schedule` shows of a schedule: figures or pictures. Pure functions, without the command line.
#pragma once

#include <cstdint>
#include <iosfwd>
#include <optional>
#include <vector>

#include "apps/charts/charts.h"
#include "optim/schedule.h"

namespace galvan {

// The lines step,lr,momentum for steps 0 to steps - 1, numbers with 17 significant digits, so that they read
// back to the same bits. Where the schedule leaves the momentum alone the field holds `momentum`, the
// optimizer's own, or is empty.
void print_schedule_csv(std::ostream& out, const Schedule& schedule, int64_t steps,
                        std::optional<double> momentum = {});

// The learning rate over the steps and, if the schedule cycles it, the momentum, as panels one above the
// other.
std::vector<charts::Chart> schedule_charts(const Schedule& schedule, int64_t steps);

}  // namespace galvan
