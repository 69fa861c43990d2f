#include "apps/schedule_output.h"

#include <cmath>
#include <cstdio>
#include <ostream>
#include <string>

#include "core/check.h"

namespace galvan {
namespace {

std::string digits17(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.17g", value);
  return text;
}

}  // namespace

void print_schedule_csv(std::ostream& out, const Schedule& schedule, int64_t steps,
                        std::optional<double> momentum) {
  check(steps >= 0, "schedule: steps ", steps, " is negative");
  out << "step,lr,momentum\n";
  for (int64_t k = 0; k < steps; ++k) {
    const ScheduleValue value = schedule.at(k);
    const std::optional<double> shown = value.momentum ? value.momentum : momentum;
    out << k << ',' << digits17(value.lr) << ',' << (shown ? digits17(*shown) : "") << '\n';
  }
}

std::vector<charts::Chart> schedule_charts(const Schedule& schedule, int64_t steps) {
  check(steps >= 0, "schedule: steps ", steps, " is negative");
  charts::Series lr, momentum;
  for (int64_t k = 0; k < steps; ++k) {
    const ScheduleValue value = schedule.at(k);
    lr.y.push_back(value.lr);
    momentum.y.push_back(value.momentum.value_or(std::nan("")));  // a gap
  }
  std::vector<charts::Chart> panels = {
      {.title = std::string(schedule.name()), .y_label = "learning rate", .series = {lr}}};
  if (schedule.cycles_momentum()) panels.push_back({.y_label = "momentum", .series = {momentum}});
  panels.back().x_label = "step";
  return panels;
}

}  // namespace galvan
