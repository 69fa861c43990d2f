// A run's folder, beside what the trainer writes into it:
//
//   config.toml    the complete effective configuration
//   data.json      which tokens it trains on
//   samples.txt    what the model wrote at each evaluation
//   loss.svg       the curves, at the end
//   report.html    the page of apps/report/run_page.h, at the end
//   cycles.json    with --average-cycles, what apps/cycle_losses.h says, at the end
//   sessions.jsonl what trained there (apps/sessions.h)
#pragma once

#include <filesystem>
#include <string>

#include "models/dataset.h"

namespace galvan {

bool holds_run(const std::filesystem::path& folder);

// Keeps a second process from training in the same folder. Throws when one is at it.
class RunLock {
 public:
  // `work`: of the other process, for the message.
  explicit RunLock(const std::filesystem::path& folder, const char* work = "training");
  ~RunLock();
  RunLock(const RunLock&) = delete;
  RunLock& operator=(const RunLock&) = delete;

 private:
  int directory_;
};

// Throws when `folder` is not there and cannot be made, or takes no files. Makes nothing.
void check_writable(const std::filesystem::path& folder);

// Makes the first of runs/1, runs/2, ... that is not there yet.
std::filesystem::path make_fresh_run_folder();

// Of all tokens, so that a run is not resumed with others.
uint64_t fingerprint(const TokenArray& tokens);
void save_data_record(const std::filesystem::path& run, const std::string& data, const TokenArray& tokens);
// Whether the run trained on these tokens, or has not begun yet. Throws when its record is corrupt.
bool is_data_of(const std::filesystem::path& run, const TokenArray& tokens);

// Drops what was written after `step`.
void cut_samples(const std::filesystem::path& run, int64_t step);
void append_sample(const std::filesystem::path& run, int64_t step, const std::string& text);

// Draws loss.svg out of metrics.jsonl: the loss, and under it learning rate and momentum, with a line at each cycle's end.
void draw_curves(const std::filesystem::path& run, const std::vector<double>& cycle_ends = {});

}  // namespace galvan
