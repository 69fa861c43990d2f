// A trial's run, watched through what it writes: the trajectory is that of `galvan train` typed by hand. It is a process
// of its own, or one of several in one process (apps/replica_process.h).
#pragma once

#include <sys/types.h>

#include <chrono>
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
  using Clock = std::chrono::steady_clock;
  void clear();
  std::filesystem::path path_;
  uint64_t file_ = 0;  // which one is at the path
  int64_t offset_ = 0;
  std::vector<StudyReport> reports_;
  int64_t step_ = 0;
  double loss_ = 0, seconds_ = 0, tokens_per_second_ = 0;
  Clock::time_point read_ = {};  // when it last had more
};

class TrialRun {
 public:
  virtual ~TrialRun() = default;
  TrialRun(const TrialRun&) = delete;
  TrialRun& operator=(const TrialRun&) = delete;

  // Begins the run, or goes on with the one that the folder holds, once no other process is at work there: one that lost
  // its study may still be saving. Has it ended? Then ending() tells how. Throws when it cannot be started.
  bool poll();
  // Asks it to save and end.
  void stop();

  struct Ending {
    bool finished = false;     // the whole run
    bool interrupted = false;  // it saved and ended because it was asked to, by whomever
    std::string reason = {};   // else
    bool diverged = false;
    // The process that ended had other trials too, and this need not be the one that ended it.
    bool in_company = false;
  };
  virtual Ending ending() const = 0;

  const StudyTrial& trial() const { return trial_; }
  MetricsTail& metrics() { return metrics_; }

 protected:
  TrialRun(const StudyTrial& trial, const StudyStore& store);
  virtual void start() = 0;
  virtual bool has_ended() = 0;     // once started
  virtual void request_stop() = 0;  // likewise
  // Of an exit code of `galvan train`.
  Ending ending_of(int code) const;
  static Ending ending_by_signal(int signal);

  const StudyTrial trial_;
  const std::filesystem::path folder_, directory_;  // its own, and where it works
  bool started_ = false;

 private:
  std::string options_;  // of a run that begins
  MetricsTail metrics_;
  bool stopping_ = false;
};

// The arguments of `galvan` that begin a trial's run, or go on with it.
std::vector<std::string> trial_arguments(const std::filesystem::path& folder, int64_t threads);

// May diverge, run out of memory or crash without harm to the study. It ends with this process, saving first where it
// has the time.
class TrialProcess final : public TrialRun {
 public:
  TrialProcess(const StudyTrial& trial, const StudyStore& store, int64_t threads)
      : TrialRun(trial, store), threads_(threads) {}
  ~TrialProcess() override;

  Ending ending() const override;

 private:
  void start() override;
  bool has_ended() override;
  void request_stop() override;

  int64_t threads_;
  pid_t pid_ = 0;
  int status_ = 0;
};

}  // namespace galvan
