// report.css and report.js, as the build has put them into the program.
#pragma once

namespace galvan::report {

extern const char* const kReportStyle;
extern const char* const kReportScript;

}  // namespace galvan::report
