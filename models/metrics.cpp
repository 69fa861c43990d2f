#include "models/metrics.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "core/check.h"
#include "models/files.h"

namespace galvan {
namespace {

// The lines of a record up to and with `step`.
std::string lines_until(const std::string& text, int64_t step) {
  std::string kept;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = text.find('\n', begin);
    if (end == std::string::npos) break;  // cut short
    const std::string line = text.substr(begin, end + 1 - begin);
    const auto record = nlohmann::json::parse(line, nullptr, false);
    const auto at = record.is_object() ? record.find("step") : record.end();
    if (at == record.end() || !at->is_number_integer() || at->get<int64_t>() > step) break;
    kept += line;
    begin = end + 1;
  }
  return kept;
}

}  // namespace

MetricsFile::MetricsFile(const std::filesystem::path& path, int64_t step) : path_(path) {
  std::error_code ignored;
  const bool goes_on = step > 0 && std::filesystem::exists(path, ignored);
  write_file_atomically(path, goes_on ? lines_until(read_text_file(path), step) : "");
  file_ = ::open(path.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC);
  check(file_ >= 0, "cannot write ", path.string(), ": ", std::strerror(errno));
}

MetricsFile::~MetricsFile() { ::close(file_); }

void MetricsFile::append(const nlohmann::ordered_json& record) {
  write_all(file_, record.dump() + "\n", path_);
}

void MetricsFile::sync() {
  const bool synced = ::fdatasync(file_) == 0;  // errno is its own only once it has returned
  check(synced, "cannot write ", path_.string(), ": ", std::strerror(errno));
}

}  // namespace galvan
