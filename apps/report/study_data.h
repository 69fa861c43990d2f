// A study's folder (apps/study_store.h) as its report has it.
#pragma once

#include <filesystem>

#include "apps/report/study_page.h"

namespace galvan::report {

bool holds_study(const std::filesystem::path& folder);

// Reads the database, and changes nothing. Throws when there is none or it is damaged.
StudyData read_study(const std::filesystem::path& folder);

// Writes the report of the study into it, as report.html.
void write_study_report(const std::filesystem::path& folder);

}  // namespace galvan::report
