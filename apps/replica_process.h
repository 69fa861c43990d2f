// Trials that one process trains together, `galvan replicas` (apps/replicas.cpp).
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>

#include "apps/trial_process.h"

namespace galvan {

// The process. It has as many runs as it is given; each begins and ends by itself.
class ReplicaProcess {
 public:
  // Starts it, where the study works, for `places` runs at a time on one device. It ends with this process, its runs saved.
  ReplicaProcess(const StudyStore& store, const std::string& device, int64_t threads, int64_t places);
  ~ReplicaProcess();
  ReplicaProcess(const ReplicaProcess&) = delete;
  ReplicaProcess& operator=(const ReplicaProcess&) = delete;

  // Folders of runs, which no line break may be in. What is asked of a process that has ended is lost.
  void begin(const std::string& folder);
  void stop(const std::string& folder);

  // Takes in what it has said.
  void poll();
  bool has_ended() const { return status_.has_value(); }
  int status() const { return *status_; }  // of waitpid
  // How the run ended, an exit code of `galvan train`.
  std::optional<int> code(const std::string& folder) const;
  // Runs that had not ended yet when the process did.
  size_t unfinished() const { return running_.size(); }

 private:
  void send(const std::string& order);
  void read_answers();

  pid_t pid_ = 0;
  int socket_ = -1;
  std::string received_;  // of an answer that is not whole yet
  std::set<std::string> running_;
  std::map<std::string, int> codes_;
  std::optional<int> status_;
};

// A trial in such a process.
class Replica final : public TrialRun {
 public:
  Replica(const StudyTrial& trial, const StudyStore& store, std::shared_ptr<ReplicaProcess> process)
      : TrialRun(trial, store), process_(std::move(process)) {}

  Ending ending() const override;

 private:
  void start() override { process_->begin(folder_.string()); }
  bool has_ended() override;
  void request_stop() override { process_->stop(folder_.string()); }

  std::shared_ptr<ReplicaProcess> process_;
};

}  // namespace galvan
