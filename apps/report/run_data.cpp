#include "apps/report/run_data.h"

#include <algorithm>
#include <cstdio>
#include <set>

#include "apps/run_folder.h"
#include "apps/toml_file.h"
#include "core/check.h"
#include "models/files.h"

namespace galvan::report {
namespace {

namespace fs = std::filesystem;

std::vector<Sample> read_samples(const fs::path& run) {
  std::vector<Sample> samples;
  std::error_code ignored;
  if (!fs::exists(run / "samples.txt", ignored)) return samples;
  const std::string text = read_text_file(run / "samples.txt");
  for (size_t at = 0; at < text.size();) {
    long long step = 0;
    const bool heading = std::sscanf(text.c_str() + at, "=== step %lld ===", &step) == 1;
    const size_t body = std::min(text.find('\n', at), text.size() - 1) + 1;
    const size_t next = std::min(text.find("\n=== step ", at), text.size() - 1) + 1;
    if (heading && body <= next) {
      std::string sample = text.substr(body, next - body);
      sample.erase(sample.find_last_not_of('\n') + 1);
      samples.push_back({step, std::move(sample)});
    }
    at = next;
  }
  return samples;
}

// The last parts of the paths where those differ, else the paths as they were given.
std::vector<std::string> names_of(const std::vector<fs::path>& folders) {
  std::vector<std::string> names, whole;
  for (const fs::path& folder : folders) {
    const fs::path tidy = fs::absolute(folder).lexically_normal();
    names.push_back((tidy.has_filename() ? tidy : tidy.parent_path()).filename().string());
    whole.push_back(folder.string());
  }
  return std::set(names.begin(), names.end()).size() == names.size() ? names : whole;
}

}  // namespace

std::optional<SettingValue> Run::option(const std::string& name) const {
  for (const auto& [key, value] : options)
    if (key == name) return value;
  return {};
}

std::vector<Run> read_runs(const std::vector<fs::path>& folders) {
  const std::vector<std::string> names = names_of(folders);
  std::vector<Run> runs;
  for (size_t i = 0; i < folders.size(); ++i) {
    const fs::path& folder = folders[i];
    std::error_code ignored;
    check(fs::exists(folder / "metrics.jsonl", ignored), folder.string(),
          " holds no run: there is no metrics.jsonl");
    Run run{.name = names[i],
            .metrics = read_metrics(folder),
            .options = {},
            .samples = read_samples(folder),
            .sessions = read_sessions(folder),
            .cycles = read_cycle_losses(folder)};
    check(!run.metrics.step.empty(), folder.string(), ": the run has taken no step yet");
    if (fs::exists(folder / "config.toml", ignored)) run.options = read_toml(folder / "config.toml");
    runs.push_back(std::move(run));
  }
  return runs;
}

std::vector<double> visible_cycle_ends(const std::vector<double>& step, const std::vector<double>& lr) {
  std::vector<double> ends;
  if (lr.empty()) return ends;
  const auto [least, most] = std::minmax_element(lr.begin(), lr.end());
  const double much = (*most - *least) / 20;
  if (much <= 0) return ends;
  bool falls = false;   // has it fallen by that much since its last rise
  size_t low = 0;       // where it was lowest since
  double high = lr[0];  // its highest since the last end
  for (size_t i = 1; i < lr.size(); ++i) {
    if (!falls) {
      high = std::max(high, lr[i]);
      if (high - lr[i] > much) falls = true, low = i;
    } else if (lr[i] < lr[low]) {
      low = i;
    } else if (lr[i] - lr[low] > much) {
      ends.push_back(step[low] - 1);
      falls = false;
      high = lr[i];
    }
  }
  return ends;
}

}  // namespace galvan::report
