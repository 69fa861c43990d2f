// A run's record, metrics.jsonl: one JSON object a line, in the order of the run. Every line has "step", the
// number of updates done.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>

namespace galvan {

class MetricsFile {
 public:
  // Opens the file to go on after `step`: lines of later steps, and a last line that a kill cut short, are
  // dropped. Step 0 begins anew.
  MetricsFile(const std::filesystem::path& path, int64_t step);
  ~MetricsFile();
  MetricsFile(const MetricsFile&) = delete;
  MetricsFile& operator=(const MetricsFile&) = delete;

  // Writes one line. Throws "cannot write PATH: ...".
  void append(const nlohmann::ordered_json& record);
  // Returns when what was appended is on the disk.
  void sync();

 private:
  std::filesystem::path path_;
  int file_ = -1;
};

}  // namespace galvan
