// `galvan report`: what training runs and studies have done, as a page.
#include <algorithm>
#include <cstdio>

#include "apps/command.h"
#include "apps/report/range_page.h"
#include "apps/report/run_page.h"
#include "apps/report/study_data.h"
#include "models/files.h"

namespace galvan {
namespace {

// The runs, with a warning of what is left out.
std::vector<report::Run> read_runs(const std::vector<std::filesystem::path>& folders) {
  std::vector<report::Run> runs = report::read_runs(folders);
  for (size_t i = 0; i < runs.size(); ++i) {
    const std::vector<size_t>& damaged = runs[i].metrics.damaged;
    if (damaged.empty()) continue;
    std::fprintf(stderr, "galvan: warning: %s:%zu is no record; lines left out: %zu\n",
                 (folders[i] / "metrics.jsonl").c_str(), damaged[0], damaged.size());
  }
  return runs;
}

class ReportCommand : public Command {
 public:
  const char* name() const override { return "report"; }
  const char* about() const override {
    return "Write a page about a run, several over one another, a study, or range tests";
  }
  const char* examples() const override {
    return R"(Examples:
  galvan report runs/1
      writes runs/1/report.html, which galvan train also does at its end
  galvan report runs/1 runs/2 runs/3 --html compared.html
      three runs in the same charts, and what their configurations differ in
  galvan report studies/a
      a study of galvan tune: its search, and what it says of each parameter and every two
  galvan report find-lr
      range tests of galvan find-lr: their curves, and the schedule that came of them

The page is one file, needs no network and no other file, and can be read on a telephone or printed.
A run that is still going is reported as far as it has come.)";
  }

  void add_options(Settings& settings) override {
    settings.add_arguments("RUN", &folders_, "folders of runs, or a study's or a find-lr's");
    settings.add("html", &html_, "the page; default report.html in the run's folder, of several runs here");
  }

  int run(Settings&) override {
    if (folders_.empty()) throw UsageError("report needs the folder of a run");
    const std::vector<std::filesystem::path> folders(folders_.begin(), folders_.end());
    std::filesystem::path path = folders.size() == 1 ? folders[0] / "report.html" : "report.html";
    if (!html_.empty()) path = html_;
    const bool study = std::any_of(folders.begin(), folders.end(), report::holds_study);
    const bool ranges = std::any_of(folders.begin(), folders.end(), report::holds_range_tests);
    if ((study || ranges) && folders.size() > 1)
      throw UsageError(
          concat(study ? "a study is reported by itself" : "range tests are reported by themselves"));
    write_file_atomically(path, study    ? report::study_page(report::read_study(folders[0]))
                                : ranges ? report::range_page(report::read_range_tests(folders[0]))
                                         : report::run_page(read_runs(folders)));
    std::printf("The report is %s\n", path.c_str());
    return 0;
  }

 private:
  std::vector<std::string> folders_;
  std::string html_;
};

}  // namespace

std::unique_ptr<Command> make_report_command() { return std::make_unique<ReportCommand>(); }

}  // namespace galvan
