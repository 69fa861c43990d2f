// `galvan tune`: searches for the options of training that are best.
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "apps/command.h"
#include "apps/interrupt.h"
#include "apps/report/study_data.h"
#include "apps/study_store.h"
#include "apps/text_format.h"
#include "apps/tune_runner.h"
#include "apps/tune_summary.h"
#include "core/parallel.h"
#include "models/files.h"

namespace galvan {
namespace {

namespace fs = std::filesystem;

class TuneCommand : public Command {
 public:
  explicit TuneCommand(const std::string& program) : program_(shell_quoted(program)) {}

  const char* name() const override { return "tune"; }
  const char* about() const override { return "Search for the best options of training"; }
  const char* examples() const override {
    return R"(Examples:
  galvan tune study.toml --out runs/study
      runs the trials of a study one after another
  galvan tune study.toml --out runs/study --jobs 2
      two at a time, each with half of the processors
  galvan tune study.toml --out runs/study --batched 8
      eight tiny models at a time in one process, each trained on one thread
  galvan tune --out runs/study --resume
      goes on after Ctrl-C, a crash or a kill; or helps another process that works on the study
  galvan tune show runs/study
      the best trials, what mattered, and how to train the best again

A study:
  metric  = "validation-loss"
  sampler = "random"
  pruner  = { kind = "asha", min-steps = 100 }
  [budget]
  trials = 24
  [fixed]
  data  = "input.txt"
  steps = 800
  [vary]
  lr         = { log-uniform = [1e-4, 1e-1] }
  batch-size = { choice = [8, 16, 32] })";
  }

  void add_options(Settings& settings) override {
    settings.add_arguments("STUDY", &words_, "the study, a TOML file; or `show` and a study's folder");
    settings.add("out", &out_, "the study's folder");
    settings.add("resume", &resume_, "go on with the study in --out", {.in_files = false});
    settings.add("jobs", &jobs_, "trials at a time, among which the processors are shared out",
                 {.least = 1, .most = 1024});
    settings.add(
        "batched", &batched_,
        "trials at a time in one process, which trains them together: for models too small to keep every "
        "processor busy",
        {.least = 1, .most = 1024});
    settings.add("threads", &threads_, "threads of each process; default the processors by the jobs",
                 {.least = 1, .most = 1024});
  }

  int run(Settings& settings) override {
    if (!words_.empty() && words_[0] == "show") return show(settings);
    if (words_.size() > 1) throw UsageError(concat("one study at a time; what is '", words_[1], "' for?"));
    if (out_.empty()) throw UsageError("tune needs --out, the study's folder");
    if (resume_ && !words_.empty())
      throw UsageError("--resume takes the study that is in --out; " + words_[0] + " has no place beside it");
    if (!resume_ && words_.empty())
      throw UsageError("tune needs a study, a TOML file; or --resume, to go on with the one in --out");
    if (batched_ && settings.given("jobs"))
      throw UsageError("--batched is one process of many trials; --jobs has no place beside it");
    if (!resume_) {
      const std::string text = read_text_file(words_[0]);
      check_data(parse_study(text, words_[0]));
      StudyStore::create(out_, text);
    }
    StudyStore store(out_);
    for (const Parameter& parameter : store.study().space.parameters())
      check(
          !batched_ || (parameter.name != "device" && parameter.name != "tf32" && parameter.name != "kernel"),
          "--batched trains all trials in one process, for all of which ", parameter.name,
          " is one; this study varies it");
    const int64_t processors = galvan::threads();
    const TuneOptions options{.jobs = jobs_,
                              .batched = batched_.value_or(0),
                              .threads = threads_.value_or(std::max<int64_t>(1, processors / jobs_))};
    const Interrupt interrupt;
    const TuneEnding ending = run_study(store, options, interrupt.requested());
    if (ending == TuneEnding::stopped) {
      std::printf("Stopped. This goes on:\n  %s tune --out %s --resume%s%s%s\n", program_.c_str(),
                  shell_quoted(out_).c_str(), jobs_ > 1 ? concat(" --jobs ", jobs_).c_str() : "",
                  batched_ ? concat(" --batched ", *batched_).c_str() : "",
                  threads_ ? concat(" --threads ", *threads_).c_str() : "");
      return interrupt.exit_code();
    }
    const std::vector<StudyTrial> trials = store.trials();
    try {
      report::write_study_report(out_);
    } catch (const std::exception& error) {  // the study is whole without it
      std::fprintf(stderr, "galvan: warning: there is no report: %s\n", error.what());
    }
    std::printf("\n%s", tune_summary(store.study(), trials, fs::path(out_), program_).c_str());
    return best_trial(trials, store.study().metric) == nullptr ? 1 : 0;
  }

 private:
  // Every trial would fail for want of it.
  static void check_data(const Study& study) {
    for (const auto& [option, value] : study.fixed)
      if (const auto* path = std::get_if<std::string>(&value); path != nullptr && option == "data") {
        const bool readable = ::access(path->c_str(), R_OK) == 0;
        check(readable, "cannot read ", *path, ": ", std::strerror(errno));
      }
  }

  int show(const Settings& settings) {
    if (words_.size() != 2) throw UsageError("show needs a study's folder: galvan tune show FOLDER");
    for (const char* option : {"out", "resume", "jobs", "batched", "threads"})
      if (settings.given(option)) throw UsageError(concat("--", option, " does nothing with show"));
    StudyStore store(words_[1], true);
    std::printf("%s", tune_summary(store.study(), store.trials(), fs::path(words_[1]), program_).c_str());
    return 0;
  }

  std::string program_;  // as a shell takes it
  std::vector<std::string> words_;
  std::string out_;
  bool resume_ = false;
  int64_t jobs_ = 1;
  std::optional<int64_t> batched_, threads_;
};

}  // namespace

std::unique_ptr<Command> make_tune_command(const std::string& program) {
  return std::make_unique<TuneCommand>(program);
}

}  // namespace galvan
