// The report of one run, or of several over one another.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "apps/report/run_data.h"

namespace galvan::report {

std::string run_page(const std::vector<Run>& runs);

// Writes the report of the run into it, as report.html. Throws when that fails.
void write_run_report(const std::filesystem::path& run);

}  // namespace galvan::report
