// What a run has recorded, for comparing runs.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "models/files.h"

namespace galvan {

// The records of metrics.jsonl without what a clock says.
inline std::vector<nlohmann::json> recorded_metrics(const std::filesystem::path& run) {
  std::vector<nlohmann::json> records;
  std::istringstream lines(read_text_file(run / "metrics.jsonl"));
  for (std::string line; std::getline(lines, line);) {
    records.push_back(nlohmann::json::parse(line));
    records.back().erase("seconds");
  }
  return records;
}

}  // namespace galvan
