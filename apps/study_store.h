// A study's folder:
//
//   study.toml        the study as it was given
//   study.db          its trials, an SQLite database; the tables are in study_store.cpp
//   study.lock        who works on it: each process holds a byte of this file locked, which ends with the process
//   trials/7/         the run of trial 7, a folder of `galvan train`, with options.toml (what it was given),
//                     output.txt and errors.txt (what it said)
//   replicas.txt      what the process of --batched said
//
// Several processes may work on one study. A trial is some process's, or nobody's, which its next process takes up: a
// process that is gone, however it ended, has none.
#pragma once

#include <memory>

#include "apps/database.h"
#include "apps/study.h"

namespace galvan {

struct StudyReport {
  int64_t step = 0;
  double loss = 0, accuracy = 0, seconds = 0;  // seconds of training so far
};

struct StudyTrial {
  int64_t number = 0;
  Point point = {};
  TrialState state = TrialState::running;
  std::optional<double> value = {};  // of the metric, once it ended: the best so far where it was stopped
  int64_t steps = 0;                 // done, once it ended
  double seconds = 0;                // of training, once it ended
  int64_t rungs = 0;
  std::string reason = {};  // why it failed, diverged or has no value
  std::vector<StudyReport> reports = {};
  bool worked_on = false;  // by a process that lives; of a claim: it is new
};

// What the search sees: less is better.
Trial to_search(const StudyTrial& trial, StudyMetric metric);
// The best value of the metric that its reports have; nothing where it has none.
std::optional<double> value_of_reports(const std::vector<StudyReport>& reports, const Study& study);
bool is_better(double a, double b, StudyMetric metric);
// The finished trial with the best value.
const StudyTrial* best_trial(const std::vector<StudyTrial>& trials, StudyMetric metric);

class StudyStore {
 public:
  // Makes the folder's files. Throws when it holds a study or anything else already.
  static void create(const std::filesystem::path& folder, const std::string& study_text);

  // Opens what is there and begins a session; `reading` begins none and changes nothing.
  explicit StudyStore(const std::filesystem::path& folder, bool reading = false);
  ~StudyStore();

  const Study& study() const { return study_; }
  const std::filesystem::path& folder() const { return folder_; }
  std::filesystem::path run_folder(int64_t number) const;
  // Where the study was begun: what its options' paths are relative to.
  std::filesystem::path directory() const { return directory_; }

  std::vector<StudyTrial> trials();
  double minutes();  // in which a process worked on it

  // The next trial to work on, now this process's: nobody's first, else a new one; nothing when the budget or the
  // sampler has none left.
  std::optional<StudyTrial> claim(const Sampler& sampler);
  // Adds a report that is not there yet and judges it: with the verdict that the trial is to stop, it has ended.
  bool report(int64_t number, const StudyReport& report, const Pruner* pruner);
  // Ends the trial, whose number, state, value, ... these are.
  void finish(const StudyTrial& trial);
  // Is nobody's again.
  void release(int64_t number);
  // Notes that this process still works on it.
  void beat();

 private:
  bool is_alive(int64_t session) const;
  bool budget_left(const std::vector<StudyTrial>& trials);
  void check_any_begins(const std::vector<StudyTrial>& trials) const;

  std::filesystem::path folder_, directory_;
  std::unique_ptr<Database> db_;
  Study study_;
  int lock_ = -1;
  int64_t session_ = 0;
};

}  // namespace galvan
