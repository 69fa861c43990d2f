#include "apps/tune_runner.h"

#include <chrono>
#include <map>
#include <set>
#include <thread>

#include "apps/replica_process.h"
#include "apps/tune_view.h"
#include "core/check.h"

namespace galvan {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kPoll{20}, kRedraw{300}, kBeat{2000};

class Runner {
 public:
  Runner(StudyStore& store, const TuneOptions& options)
      : store_(store),
        study_(store.study()),
        options_(options),
        sampler_(make_sampler(study_.space, study_.sampler)),
        pruner_(make_pruner(study_.pruner)),
        view_(study_) {}

  TuneEnding run(const std::atomic<bool>& stop) {
    bool more = true;
    while (true) {
      const int64_t places = std::max(options_.jobs, options_.batched);
      while (more && !stop && static_cast<int64_t>(jobs_.size()) < places) more = begin_trial();
      if (stop)
        for (const auto& job : jobs_) job->stop();
      for (size_t i = 0; i < jobs_.size();)
        if (watch(jobs_[i]))
          jobs_.erase(jobs_.begin() + static_cast<std::ptrdiff_t>(i)), more = true;
        else
          ++i;
      if (jobs_.empty() && (stop || !more)) break;
      tick();
      std::this_thread::sleep_for(kPoll);
    }
    store_.beat();
    show();
    return stop ? TuneEnding::stopped : TuneEnding::done;
  }

 private:
  bool begin_trial() {
    const std::optional<StudyTrial> trial = store_.claim(*sampler_);
    if (!trial) return false;
    try {
      jobs_.push_back(make_run(*trial));
    } catch (...) {
      store_.release(trial->number);
      throw;
    }
    view_.print(concat("trial ", trial->number,
                       trial->worked_on ? " begins: " : " goes on: ", parameters_text(trial->point)));
    return true;
  }

  std::unique_ptr<TrialRun> make_run(const StudyTrial& trial) {
    if (options_.batched == 0) return std::make_unique<TrialProcess>(trial, store_, options_.threads);
    if (!replicas_ || replicas_->has_ended())
      replicas_ = std::make_shared<ReplicaProcess>(store_, device(), options_.threads, options_.batched);
    return std::make_unique<Replica>(trial, store_, replicas_);
  }

  std::string device() const {
    for (const auto& [option, value] : study_.fixed)
      if (option == "device") return std::get<std::string>(value);
    return "auto";
  }

  // Reads what the trial has written and acts on it. Has it ended?
  bool watch(std::unique_ptr<TrialRun>& run) {
    TrialRun& job = *run;
    const bool ended = job.poll();  // first: what it writes before its end is read below
    job.metrics().poll();
    const StudyTrial& trial = job.trial();
    for (const StudyReport& report : job.metrics().reports()) {
      if (decided(job)) break;
      if (study_.metric == StudyMetric::time_to_loss && report.loss <= study_.target) {
        finish(job, TrialState::finished, "");
        job.stop();
      } else if (report.step < study_.steps_of(trial.point) && is_new(job, report.step) &&
                 store_.report(trial.number, report, pruner_.get())) {
        settle(job, "pruned");
        job.stop();
      }
    }
    if (!ended) return false;
    if (decided(job)) return true;
    const TrialRun::Ending how = job.ending();
    if (how.in_company && !how.interrupted) {  // by itself it shows whether it was the one
      view_.print(concat("trial ", trial.number, " goes on by itself: ", how.reason));
      run = std::make_unique<TrialProcess>(StudyTrial(trial), store_,
                                           std::max<int64_t>(1, options_.threads / options_.batched));
      return false;
    }
    if (how.interrupted)
      store_.release(trial.number);
    else if (how.finished)
      finish(job, TrialState::finished, "");
    else
      finish(job, how.diverged ? TrialState::diverged : TrialState::failed, how.reason);
    return true;
  }

  // The database has the reports up to this step already, by this process.
  bool is_new(const TrialRun& job, int64_t step) {
    int64_t& last = reported_[job.trial().number];
    if (step <= last) return false;
    last = step;
    return true;
  }

  bool decided(const TrialRun& job) const { return ended_.contains(job.trial().number); }

  void finish(TrialRun& job, TrialState state, const std::string& reason) {
    StudyTrial trial = job.trial();
    trial.state = state;
    trial.reports = job.metrics().reports();
    trial.steps = job.metrics().step();
    trial.seconds = job.metrics().seconds();
    trial.value = value_of_reports(trial.reports, study_);
    trial.reason = reason;
    if (state == TrialState::finished && !trial.value) {
      if (study_.metric == StudyMetric::time_to_loss) {
        trial.reason = concat("never came to a loss of ", study_.target);
      } else {
        trial.state = TrialState::diverged;
        trial.reason = "no evaluation gave a finite loss";
      }
    }
    store_.finish(trial);
    settle(job, name(trial.state));
  }

  // The trial is in the database with its end.
  void settle(const TrialRun& job, const std::string& state) {
    const int64_t number = job.trial().number;
    ended_.insert(number);
    const std::vector<StudyTrial> trials = store_.trials();
    const StudyTrial& trial = trials[static_cast<size_t>(number)];
    std::string line = concat("trial ", number, " ", state, " after ", trial.steps, " steps");
    if (trial.value) line += ": " + value_text(*trial.value, study_.metric);
    if (!trial.reason.empty()) line += ": " + trial.reason;
    if (const StudyTrial* best = best_trial(trials, study_.metric))
      line += concat("; best so far: trial ", best->number, ", ", value_text(*best->value, study_.metric));
    view_.print(line);
  }

  void tick() {
    const auto now = Clock::now();
    if (now - beaten_ >= kBeat) {
      beaten_ = now;
      store_.beat();
    }
    if (now - shown_ < kRedraw) return;
    shown_ = now;
    show();
  }

  void show() {
    if (!view_.is_table()) return;
    std::vector<RunningTrial> running;
    for (const auto& job : jobs_) {
      const MetricsTail& metrics = job->metrics();
      running.push_back({.number = job->trial().number,
                         .step = metrics.step(),
                         .steps = study_.steps_of(job->trial().point),
                         .loss = metrics.loss(),
                         .tokens_per_second = metrics.tokens_per_second()});
    }
    view_.update(store_.trials(), running, store_.minutes());
  }

  StudyStore& store_;
  const Study& study_;
  TuneOptions options_;
  std::unique_ptr<Sampler> sampler_;
  std::unique_ptr<Pruner> pruner_;
  TuneView view_;
  std::shared_ptr<ReplicaProcess> replicas_;  // of --batched
  std::vector<std::unique_ptr<TrialRun>> jobs_;
  std::map<int64_t, int64_t> reported_;  // the last step by trial
  std::set<int64_t> ended_;
  Clock::time_point beaten_ = {}, shown_ = {};
};

}  // namespace

TuneEnding run_study(StudyStore& store, const TuneOptions& options, const std::atomic<bool>& stop) {
  return Runner(store, options).run(stop);
}

}  // namespace galvan
