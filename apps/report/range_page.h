// The report of range tests: what the loss did while a hyperparameter rose, what that says, and the schedule that came of it.
#pragma once

#include <filesystem>
#include <string>

#include "apps/report/range_data.h"

namespace galvan::report {

std::string range_page(const RangeFolder& found);

// Writes the report of a find-lr's folder into it, as report.html. Throws when that fails.
void write_range_report(const std::filesystem::path& folder);

}  // namespace galvan::report
