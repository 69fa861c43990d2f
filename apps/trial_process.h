// A trial's run: a process of `galvan train`, watched through what it writes. A process of its own may diverge, run out
// of memory or crash without harm to the study; and its trajectory is that of the same command typed by hand.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>
#include <vector>

#include "apps/study_store.h"

namespace galvan {

// A run's metrics.jsonl, read as it grows; from its beginning again where a resumed run has rewritten it.
class MetricsTail {
 public:
  explicit MetricsTail(std::filesystem::path path) : path_(std::move(path)) {}
  void poll();

  const std::vector<StudyReport>& reports() const { return reports_; }
  int64_t step() const { return step_; }
  double loss() const { return loss_; }
  double seconds() const { return seconds_; }                      // of training, all steps
  double tokens_per_second() const { return tokens_per_second_; }  // lately

 private:
  void clear();
  std::filesystem::path path_;
  uint64_t file_ = 0;  // which one is at the path
  int64_t offset_ = 0;
  std::vector<StudyReport> reports_;
  int64_t step_ = 0;
  double loss_ = 0, seconds_ = 0, tokens_per_second_ = 0;
};

class TrialProcess {
 public:
  // Of a run that poll() begins, or goes on with where the folder holds one, once no other process is at work there: one
  // that lost its study may still be saving. The process ends with this one's, saving first where it has the time.
  TrialProcess(const StudyTrial& trial, const StudyStore& store, int64_t threads);
  ~TrialProcess();
  TrialProcess(const TrialProcess&) = delete;
  TrialProcess& operator=(const TrialProcess&) = delete;

  // Asks it to save and end.
  void stop();
  // Has it ended? Then ending() tells how. Throws when it cannot be started.
  bool poll();

  struct Ending {
    bool finished = false;     // the whole run
    bool interrupted = false;  // it saved and ended because it was asked to, by whomever
    std::string reason = {};   // else
    bool diverged = false;
  };
  Ending ending() const;

  const StudyTrial& trial() const { return trial_; }
  MetricsTail& metrics() { return metrics_; }

 private:
  void start();

  StudyTrial trial_;
  std::filesystem::path folder_, directory_;  // its own, and where it works
  std::string options_;                       // of a run that begins
  int64_t threads_;
  MetricsTail metrics_;
  pid_t pid_ = 0;
  int status_ = 0;
  bool started_ = false;
  bool stopping_ = false;
};

}  // namespace galvan
