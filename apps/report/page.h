// A report's page: one HTML file that needs nothing beside it, with its style and its script inside. Its policy forbids
// the browser to load anything, and any script but its own.
#pragma once

#include <string>

namespace galvan::report {

// `body` is HTML; `clocks` the JSON that turns each run's steps into time and tokens ("[]" where there are no runs).
std::string page(const std::string& title, const std::string& body, const std::string& clocks);

}  // namespace galvan::report
