// What runs were made of and where, as sections of a page.
#pragma once

#include <string>
#include <vector>

#include "apps/report/run_data.h"

namespace galvan::report {

// A table of options, a column a run. Of several runs, what they differ in comes first. Empty where no run has options.
std::string configuration(const std::vector<Run>& runs);

// The command, the versions and the machine of every process that worked on the runs.
std::string commands_and_machines(const std::vector<Run>& runs);

}  // namespace galvan::report
