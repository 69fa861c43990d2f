#include "apps/run_folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <nlohmann/json.hpp>

#include "apps/charts/charts.h"
#include "apps/run_metrics.h"
#include "core/check.h"
#include "models/files.h"

namespace galvan {

namespace fs = std::filesystem;

bool holds_run(const fs::path& folder) {
  std::error_code ignored;
  return fs::exists(folder / "config.toml", ignored) || fs::exists(folder / "metrics.jsonl", ignored) ||
         fs::exists(folder / "checkpoints", ignored);
}

RunLock::RunLock(const fs::path& folder, const char* work)
    : directory_(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) {
  check(directory_ >= 0, "cannot open ", folder.string(), ": ", std::strerror(errno));
  if (::flock(directory_, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK) return;
  ::close(directory_);
  fail("another process is ", work, " in ", folder.string());
}

RunLock::~RunLock() { ::close(directory_); }

void check_writable(const fs::path& folder) {
  std::error_code ignored;
  fs::path place = fs::absolute(folder);  // or what of it is there
  while (!fs::exists(fs::symlink_status(place, ignored)) && place.has_relative_path())
    place = place.parent_path();
  check(fs::is_directory(place, ignored), "cannot write ", folder.string(), ": ", place.string(),
        " is not a folder");
  const bool writable =
      ::access(place.c_str(), W_OK | X_OK) == 0;  // errno is its own only once it has returned
  check(writable, "cannot write ", folder.string(), ": ", place.string(), ": ", std::strerror(errno));
}

fs::path make_fresh_run_folder() {
  make_directories("runs");
  for (int64_t i = 1;; ++i) {
    const fs::path folder = fs::path("runs") / std::to_string(i);
    std::error_code error;
    if (fs::create_directory(folder, error)) return folder;
    check(!error || fs::exists(folder), "cannot create ", folder.string(), ": ", error.message());
  }
}

uint64_t fingerprint(const TokenArray& tokens) {
  uint64_t hash = 14695981039346656037u;  // FNV-1a over tokens
  std::array<int32_t, 4096> piece;
  for (int64_t begin = 0; begin < tokens.size();) {
    const auto n = std::min<int64_t>(piece.size(), tokens.size() - begin);
    tokens.read(begin, {piece.data(), static_cast<size_t>(n)});
    for (int64_t i = 0; i < n; ++i)
      hash = (hash ^ static_cast<uint32_t>(piece[static_cast<size_t>(i)])) * 1099511628211u;
    begin += n;
  }
  return hash;
}

void save_data_record(const fs::path& run, const std::string& data, const TokenArray& tokens) {
  const nlohmann::ordered_json record = {
      {"data", data}, {"tokens", tokens.size()}, {"fingerprint", fingerprint(tokens)}};
  write_file_atomically(run / "data.json",
                        record.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
}

bool is_data_of(const fs::path& run, const TokenArray& tokens) {
  const fs::path path = run / "data.json";
  std::error_code ignored;
  if (!fs::exists(path, ignored)) return true;  // ended before it had begun
  const auto record = nlohmann::json::parse(read_text_file(path), nullptr, false);
  check(record.is_object() && record.contains("fingerprint") && record["fingerprint"].is_number_unsigned(),
        path.string(), ": holds no fingerprint; it may be corrupt");
  return record["fingerprint"].get<uint64_t>() == fingerprint(tokens);
}

void cut_samples(const fs::path& run, int64_t step) {
  const fs::path path = run / "samples.txt";
  std::error_code ignored;
  if (!fs::exists(path, ignored)) return;
  const std::string text = read_text_file(path);
  size_t end = 0;
  // Headers stand at the beginning of a line.
  for (size_t at = 0; at != std::string::npos && at < text.size();) {
    long long written = 0;
    if (std::sscanf(text.c_str() + at, "=== step %lld ===", &written) == 1 && written > step) break;
    const size_t next = text.find("\n=== step ", at);
    at = next == std::string::npos ? next : next + 1;
    end = at == std::string::npos ? text.size() : at;
  }
  if (end < text.size()) write_file_atomically(path, text.substr(0, end));
}

void append_sample(const fs::path& run, int64_t step, const std::string& text) {
  append_to_file(run / "samples.txt", concat("=== step ", step, " ===\n", text, "\n\n"));
}

void draw_curves(const fs::path& run, const std::vector<double>& cycle_ends) {
  const RunMetrics m = read_metrics(run);
  const charts::Series train{.name = "training", .x = m.step, .y = m.loss},
      evaluation{.name = "validation", .x = m.eval_step, .y = m.eval_loss}, lr{.x = m.step, .y = m.lr},
      momentum{.x = m.step, .y = m.momentum};
  const auto cycles = [](const charts::Series& series) {
    return !series.y.empty() && *std::min_element(series.y.begin(), series.y.end()) !=
                                    *std::max_element(series.y.begin(), series.y.end());
  };
  std::vector<charts::Chart> panels = {{.y_label = "loss", .series = {train, evaluation}},
                                       {.y_label = "learning rate", .series = {lr}}};
  if (cycles(momentum)) panels.push_back({.y_label = "momentum", .series = {momentum}});
  panels.back().x_label = "step";
  constexpr size_t kMostMarks = 40;  // more would be a grey ground
  if (cycle_ends.size() <= kMostMarks)
    for (charts::Chart& panel : panels)
      for (const double end : cycle_ends) panel.marks.push_back({.x = end});
  write_file_atomically(run / "loss.svg", charts::to_svg(panels));
}

}  // namespace galvan
