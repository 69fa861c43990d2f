// `galvan find-lr`: learning rate, momentum and weight decay by range tests, and a schedule that trains with them.
#include <cstdio>
#include <functional>
#include <limits>

#include "apps/command.h"
#include "apps/device.h"
#include "apps/range_progress.h"
#include "apps/range_report.h"
#include "apps/report/range_page.h"
#include "apps/run_folder.h"
#include "apps/sessions.h"
#include "apps/terminal.h"
#include "apps/text_format.h"
#include "apps/train_settings.h"
#include "apps/training_text.h"
#include "core/parallel.h"
#include "models/checkpoint.h"
#include "models/files.h"
#include "models/range_trainer.h"

namespace galvan {
namespace {

namespace fs = std::filesystem;

class FindLrCommand : public Command {
 public:
  explicit FindLrCommand(const std::string& program) : program_(shell_quoted(program)) {}

  const char* name() const override { return "find-lr"; }
  const char* about() const override { return "Find the learning rates of a run, and write its schedule"; }
  const char* examples() const override {
    return R"(Examples:
  galvan find-lr --data input.txt --optimizer sgd --steps 2400
      the rates between which SGD learns, and in find-lr/cyclic.toml a run of three cycles between them
  galvan train --config find-lr/cyclic.toml
      that run
  galvan find-lr --from runs/book --optimizer adamw --seeds 1
      for going on from a model that is there already
  galvan find-lr --data input.txt --optimizer sgd --momentum-test --decay-test
      momentum and weight decay too, each tested at the rate that was found

A range test (Smith 2015) is a short training whose learning rate rises at each step, from so low that nothing
happens to so high that it diverges; here the median of several seeds counts. The options of the run are those
of `galvan train`, and all of them go into cyclic.toml. --out gets find-lr.json, find-lr.svg, cyclic.toml
and report.html.)";
  }

  void add_options(Settings& settings) override {
    const SettingOptions own{.in_files = false, .written = false};
    settings.group("Range test");
    settings.add("out", &out_, "the folder of what is found", {.written = false});
    settings.add("from", &from_, "a run or checkpoint to go on from, with the run's options", own);
    settings.add("low", &low_, "the first learning rate; default 1e-4 for sgd, else 1e-6", own);
    settings.add("high", &high_, "the last; default 10 for sgd, else 1", own);
    settings.add("test-steps", &test_steps_, "steps of a test, a value each",
                 {.least = 10, .most = 1e6, .in_files = false, .written = false});
    settings.add("sweep", &sweep_, "how the learning rate rises",
                 {.choices = {"exponential", "linear"}, .in_files = false, .written = false});
    settings.add("seeds", &seeds_, "tests with seed, seed + 1, ..., of which the median counts",
                 {.least = 1, .most = 100, .in_files = false, .written = false});
    settings.add("smoothing", &smoothing_, "what the loss's running mean keeps at each step",
                 {.least = 0, .most = 1, .in_files = false, .written = false});
    settings.add("stop-above", &stop_above_, "a test ends at so many times its lowest loss; 0: at NaN alone",
                 {.least = 0, .in_files = false, .written = false});
    settings.add("momentum-test", &momentum_test_,
                 "test momentum (beta1) from 0.5 to 0.99, at the highest rate", own);
    settings.add("decay-test", &decay_test_, "test weight decay from 1e-5 to 10, at the highest rate", own);
    add_run_options(settings, s_);
  }

  int run(Settings& settings) override {
    read_configuration(settings);
    if (s_.threads > 0) set_threads(static_cast<int>(s_.threads));
    text_ = read_training_text(settings, s_, {});
    settle_run();
    options_ = {.low = low_.value_or(is_sgd() ? 1e-4 : 1e-6),
                .high = high_.value_or(is_sgd() ? 10 : 1),
                .steps = test_steps_,
                .sweep = sweep_ == "linear" ? Sweep::linear : Sweep::exponential,
                .smoothing = smoothing_,
                .stop_above = stop_above_};
    sweep_values(options_);  // complains before anything has run
    open_folder();
    tests_.push_back(test("learning rate", options_, [&](double value) { return at_top(value); }));
    begin_record();
    save_curves();
    report();
    // Adam's steps are as long whatever the gradient, and a sweep's loss stays low far past the rate that is best.
    const LrRange range = suggest_lr_range(tests_[0].found, is_sgd() ? LrCeiling::ragged : LrCeiling::slows);
    s_.schedule.base_lr = range.base_lr;
    s_.schedule.max_lr = range.max_lr;
    if (momentum_test_) test_momentum();
    if (decay_test_) test_decay();
    save_curves();
    return write_schedule(settings);
  }

 private:
  bool is_sgd() const { return s_.optimizer == "sgd"; }

  void read_configuration(Settings& settings) {
    if (!from_.empty() && settings.given("init"))
      throw UsageError("--from is what to start from; --init has no place beside it");
    if (!from_.empty()) {
      // Of the run itself, or of the one whose checkpoints/N it is.
      const fs::path checkpoint = fs::canonical(resolve_checkpoint(from_));
      std::error_code ignored;
      for (const fs::path& run : {fs::path(from_), checkpoint.parent_path().parent_path()})
        if (s_.config.empty() && fs::exists(run / "config.toml", ignored))
          s_.config = (run / "config.toml").string();
    }
    if (!s_.config.empty()) settings.apply_file(s_.config, settled_options());
    for (const char* option : {"lr", "base-lr", "max-lr"})
      if (settings.given(option))
        throw UsageError(concat("--", option, " has no place here: the learning rate is what is looked for"));
    for (const char* option : {"step-size-up", "step-size-down"})
      if (settings.given(option))
        throw UsageError(concat("--", option, " has no place here: --cycles and --steps decide it"));
    if (momentum_test_ && !s_.schedule.cycle_momentum)
      throw UsageError(
          "--momentum-test looks for the bounds of a momentum that --no-cycle-momentum keeps still");
    for (const char* option : {"base-momentum", "max-momentum"})
      if (momentum_test_ && settings.given(option))
        throw UsageError(concat("--", option, " is what --momentum-test looks for"));
    if (decay_test_ && settings.given("weight-decay"))
      throw UsageError("--weight-decay is what --decay-test looks for");
    if (s_.schedule.cycle_momentum && settings.given("momentum") && s_.momentum != 0.0)
      throw UsageError(
          "--momentum does nothing while the schedule moves the momentum: --max-momentum and --base-momentum "
          "are its bounds, --no-cycle-momentum keeps it still");
    if (settings.given("schedule") && s_.schedule.policy != "cyclic")
      throw UsageError("--schedule " + s_.schedule.policy + ": the schedule that is written is cyclic");
    if (settings.given("steps") && settings.given("epochs"))
      throw UsageError("--epochs decides the steps; --steps has no place beside it");
    if (settings.given("steps")) s_.epochs.reset();
    if (s_.data.empty()) throw UsageError("find-lr needs --data, a text to learn from");
    s_.schedule.policy = "cyclic";
    check_given(settings, s_.schedule);
    device_ = settle_device(s_);
    s_.data = absolute_path(s_.data);
    if (!from_.empty()) s_.init = from_;
    if (!s_.init.empty()) s_.init = fs::canonical(resolve_checkpoint(s_.init)).string();
    if (s_.seed > std::numeric_limits<int64_t>::max() - seeds_)
      throw UsageError(concat("--seed: after ", s_.seed, " there are no ", seeds_, " seeds"));
    if (out_.empty()) throw UsageError("--out: a folder is needed, got an empty text");
    check_writable(out_);
    for (const char* file : {"metrics.jsonl", "study.db"})
      check(!fs::exists(fs::path(out_) / file), "--out ", out_, " is the folder of a run or a study");
  }

  // Steps that are whole cycles, and what of the schedule is not looked for.
  void settle_run() {
    settle_epochs(s_, BatchSampler(text_.tokens, text_.split.train, batch_options(s_, text_.config)));
    ScheduleSettings& schedule = s_.schedule;
    const int64_t cycles = schedule.cycles.value_or(3), asked = s_.steps;
    schedule.cycles = cycles;
    s_.steps = std::max<int64_t>(2, (asked + cycles / 2) / cycles) * cycles;
    if (s_.steps != asked)
      std::printf("The run will have %s steps, which are %s whole cycles, and not %s.\n",
                  with_commas(s_.steps).c_str(), with_commas(cycles).c_str(), with_commas(asked).c_str());
    schedule.lr = schedule.base_lr = schedule.max_lr = std::nullopt;
    const double momentum = is_sgd() ? s_.momentum.value_or(0.9) : s_.beta1;
    if (momentum == 0) {
      if (momentum_test_) throw UsageError("--momentum-test needs an optimizer with momentum");
      schedule.cycle_momentum = false;
    }
  }

  // A step with the momentum that a cycle has where its rate is highest.
  RangeStep at_top(double lr) const {
    RangeStep step{.lr = lr};
    if (s_.schedule.cycle_momentum) step.momentum = s_.schedule.base_momentum.value_or(0.8);
    return step;
  }

  // One process at a time. What earlier tests have left there stays until there is a curve to take its place.
  void open_folder() {
    make_directories(out_);
    lock_.emplace(out_, "testing");
  }

  // Of earlier tests there, nothing is left that could be taken for these tests'.
  void begin_record() const {
    const fs::path folder = out_;
    for (const char* file : {"cyclic.toml", "find-lr.json", "find-lr.svg", "report.html", "sessions.jsonl"})
      fs::remove(folder / file);
    Session session = this_session(0, typed_command());
    session.facts.emplace_back("device", device_description(device_));
    session.facts.emplace_back("parameters", with_commas(text_.config.parameters()));
    append_session(folder, session);
  }

  // A test that has come to its end does not fail for want of its report.
  void report() const {
    if (!s_.report) return;
    try {
      report::write_range_report(out_);
    } catch (const std::exception& error) {
      std::fprintf(stderr, "galvan: warning: there is no report: %s\n", error.what());
    }
  }

  // A fresh model and optimizer for each seed.
  RangeTest test(const std::string& what, const RangeTestOptions& options,
                 const std::function<RangeStep(double)>& step_at) {
    RangeTest result{.name = what, .options = options};
    for (int64_t seed = s_.seed; seed < s_.seed + seeds_; ++seed) {
      const Transformer model(text_.config, {.seed = static_cast<uint64_t>(seed),
                                             .tensor = {.dtype = parse_dtype(*s_.dtype), .device = device_}});
      if (!s_.init.empty()) load_weights(s_.init, model);
      TrainSettings settings = s_;
      settings.schedule.lr = options.low;  // each step brings its own
      const auto optimizer = make_optimizer(settings, model);
      const BatchOptions batches = batch_options(s_, text_.config);
      RangeTrainer trainer(model, *optimizer, text_.tokens, text_.split.train,
                           {.batch_size = batches.batch_size,
                            .accumulate = batches.micro_steps,
                            .order = batches.order,
                            .clip = s_.clip,
                            .seed = static_cast<uint64_t>(seed)});
      RangeProgress progress(concat(what, ", seed ", seed), options.steps);
      int64_t step = 0;
      result.curves.push_back(range_test(options, [&](double value) {
        const double loss = trainer.step(step_at(value));
        progress.on_step(++step, value, loss);
        return loss;
      }));
      result.seeds.push_back(seed);
    }
    result.band = combine(result.curves);
    result.found = analyse(result.band);
    const charts::TerminalStyle style{.unicode = terminal_has_utf8()};
    const int columns = std::clamp(terminal_columns(), 24, 100);
    std::printf("%s\n%s\n", charts::to_terminal(chart_of(result), columns, 18, style).c_str(),
                findings_text(result).c_str());
    std::fflush(stdout);
    return result;
  }

  // A cycle has its least momentum where the rate is highest, which is where it is tested.
  void test_momentum() {
    RangeTestOptions options = options_;
    options.low = 0.5, options.high = 0.99, options.sweep = Sweep::linear;
    tests_.push_back(test("momentum", options, [&](double value) {
      return RangeStep{.lr = *s_.schedule.max_lr, .momentum = value};
    }));
    const MomentumRange range = suggest_momentum_range(tests_.back().found);
    s_.schedule.base_momentum = range.base_momentum;
    s_.schedule.max_momentum = range.max_momentum;
  }

  void test_decay() {
    RangeTestOptions options = options_;
    options.low = 1e-5, options.high = 10, options.sweep = Sweep::exponential;
    tests_.push_back(test("weight decay", options, [&](double value) {
      RangeStep step = at_top(*s_.schedule.max_lr);
      step.weight_decay = value;
      return step;
    }));
    s_.weight_decay = suggest_weight_decay(tests_.back().found);
  }

  void save_curves() const {
    nlohmann::ordered_json tests = nlohmann::ordered_json::array();
    std::vector<charts::Chart> panels;
    for (const RangeTest& test : tests_) {
      tests.push_back(to_json(test));
      panels.push_back(chart_of(test));
    }
    write_file_atomically(fs::path(out_) / "find-lr.svg", charts::to_svg(panels));
    write_file_atomically(
        fs::path(out_) / "find-lr.json",
        nlohmann::ordered_json{{"data", s_.data}, {"optimizer", s_.optimizer}, {"tests", tests}}.dump(
            1, ' ', false, nlohmann::json::error_handler_t::replace) +
            "\n");
  }

  int write_schedule(const Settings& settings) {
    resolve(s_.schedule, s_.steps, *s_.schedule.max_lr);
    make_schedule(s_.schedule, s_.steps);  // checks it
    if (is_sgd() && !s_.momentum) s_.momentum = 0.9;
    const fs::path file = fs::path(out_) / "cyclic.toml";
    const std::string run = concat(program_, " train --config ", shell_quoted(file.string()));
    write_file_atomically(
        file, concat("# A run between the learning rates that a range test has found:\n#   ", run, "\n\n",
                     settings.to_toml()));
    report();
    const ScheduleSettings& s = s_.schedule;
    std::printf("Cycles between %.3g and %.3g, %s of them in %s steps", *s.base_lr, *s.max_lr,
                with_commas(*s.cycles).c_str(), with_commas(s_.steps).c_str());
    if (s.cycle_momentum) std::printf("; momentum between %.3g and %.3g", *s.max_momentum, *s.base_momentum);
    if (decay_test_) std::printf("; weight decay %.3g", *s_.weight_decay);
    std::printf(".\nEverything is in %s. This trains so:\n  %s\n", out_.c_str(), run.c_str());
    return 0;
  }

  std::string program_;  // as a shell takes it
  TrainSettings s_;      // of the run that the schedule is for
  std::string out_ = "find-lr", from_, sweep_ = "exponential";
  std::optional<double> low_, high_;
  int64_t test_steps_ = 200, seeds_ = 3;
  double smoothing_ = 0.8, stop_above_ = 2;
  bool momentum_test_ = false, decay_test_ = false;
  Device device_;
  TrainingText text_;
  std::optional<RunLock> lock_;  // on the folder
  RangeTestOptions options_;     // of the learning rate
  std::vector<RangeTest> tests_;
};

}  // namespace

std::unique_ptr<Command> make_find_lr_command(const std::string& program) {
  return std::make_unique<FindLrCommand>(program);
}

}  // namespace galvan
