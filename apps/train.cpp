// `galvan train`: from a text to a model.
#include <cstdio>

#include "apps/command.h"
#include "apps/cycle_losses.h"
#include "apps/device.h"
#include "apps/interrupt.h"
#include "apps/machine.h"
#include "apps/plan.h"
#include "apps/progress.h"
#include "apps/report/run_page.h"
#include "apps/run_folder.h"
#include "apps/sessions.h"
#include "apps/tensorboard.h"
#include "apps/text_format.h"
#include "apps/train_settings.h"
#include "apps/training_run.h"
#include "apps/training_text.h"
#include "core/parallel.h"
#include "models/cycle_average.h"
#include "models/files.h"
#include "models/sample.h"
#include "models/trainer.h"

namespace galvan {
namespace {

namespace fs = std::filesystem;

// The line that stands above a figure of the plan.
void tell(const char* what, const std::string& text) { std::printf("%-12s%s\n", what, text.c_str()); }

class TrainCommand : public Command, public TrainingRun {
 public:
  explicit TrainCommand(const std::string& program) : program_(shell_quoted(program)) {}

  const char* name() const override { return "train"; }
  const char* about() const override { return "Train a model on a text"; }
  const char* examples() const override {
    return R"(Examples:
  galvan train --data input.txt
      a model of preset tiny, AdamW, 2000 steps; the run's folder is runs/1
  galvan train --data input.txt --optimizer sgd --schedule cyclic --base-lr 0.001 --max-lr 0.1 \
               --step-size-up 400 --steps 2400
      SGD with momentum 0.9 under three triangles of learning rate (Smith 2015)
  galvan train --data input.txt --preset shakespeare-char --dropout 0.2 --epochs 3 --out runs/big
  galvan train --out runs/big --resume
      goes on after Ctrl-C, a crash or a kill, exactly as if nothing had happened
  galvan train --config runs/big/config.toml --seed 2
      the same run once more, with another seed

The folder of a run holds config.toml (every option), metrics.jsonl (every step), samples.txt, loss.svg,
report.html, and in current/ and best/ the last and the best model, which Hugging Face's Transformers loads as they are;
with --average-cycles also the models of the cycles' ends, in cycles/, and in average/ that of their mean weights.)";
  }

  void add_options(Settings& settings) override {
    settings.group("Run");
    settings.add("out", &s_.out, "the run's folder; default a new one, runs/1, runs/2, ...",
                 {.written = false});
    settings.add("resume", &s_.resume, "go on with the run in --out, exactly where its checkpoint is",
                 {.in_files = false, .written = false});
    add_run_options(settings, s_);
  }

  int run(Settings& settings) override {
    if (!begin(settings, typed_command())) return 0;
    const Interrupt interrupt;
    std::optional<Ending> ending;
    while (!ending) ending = advance(interrupt.requested());
    return *ending == Ending::stopped ? interrupt.exit_code() : 0;
  }

  void lock(const fs::path& folder) override { lock_.emplace(folder); }

  bool begin(Settings& settings, const std::string& command) override {
    command_ = command;
    read_configuration(settings);
    if (s_.threads > 0 && s_.threads != galvan::threads()) set_threads(static_cast<int>(s_.threads));
    if (s_.resume) {
      if (!lock_) lock_.emplace(s_.out);
      checkpoint_ = last_checkpoint();
    }
    if (s_.resume && !checkpoint_.empty()) {
      state_ = load_training_state(checkpoint_);
      if (is_over()) return false;
    }
    read_text(settings);
    settle_steps();
    const double momentum = s_.optimizer == "sgd" ? s_.momentum.value_or(0.9) : s_.beta1;
    schedule_ = make_schedule(s_.schedule, s_.steps);
    check_compatible(*schedule_, momentum, s_.steps);
    const bool has_cycle = schedule_->cycle_end_after(0).value_or(s_.steps + 1) <= s_.steps;
    for (const auto& [option, is_on] :
         {std::pair{"--average-cycles", s_.average_cycles}, {"--patience-in-cycles", s_.patience_in_cycles}})
      if (is_on && !has_cycle)
        throw UsageError(
            concat(option, " needs a schedule with cycles, of which a whole one fits into the run"));
    if (settings.given("momentum") && schedule_->cycles_momentum() && momentum != *s_.schedule.max_momentum)
      throw UsageError(
          concat("--momentum does nothing while the schedule moves the momentum: --max-momentum ",
                 "and --base-momentum are its bounds, --no-cycle-momentum keeps it still"));
    show_plan(s_.optimizer != "sgd" ? 2 : momentum != 0 ? 1 : 0);

    model_.emplace(config_, Init{.seed = static_cast<uint64_t>(s_.seed),
                                 .tensor = {.dtype = parse_dtype(*s_.dtype), .device = device_}});
    if (!checkpoint_.empty())
      load_weights(checkpoint_, *model_);
    else if (!s_.init.empty())
      load_weights(s_.init, *model_);
    optimizer_ = make_optimizer(s_, *model_);
    const TrainerInputs inputs{.model = *model_,
                               .optimizer = *optimizer_,
                               .schedule = *schedule_,
                               .tokenizer = *tokenizer_,
                               .tokens = tokens_,
                               .split = split_};
    trainer_.emplace(inputs, trainer_options(), events());
    if (!checkpoint_.empty()) trainer_->resume(state_);

    run_ = open_folder(settings);
    cut_samples(run_, trainer_->step());
    if (s_.resume && s_.average_cycles) forget_average();
    progress_.emplace(trainer_->step(), s_.steps, config_.flops_per_token(), peak_flops_);
    trainer_->begin(run_);
    return true;
  }

  std::optional<Ending> advance(const std::atomic<bool>& stop) override {
    std::optional<Ending> ending;
    try {
      ending = trainer_->advance(stop);
    } catch (const NonFiniteError& error) {
      progress_->finish();
      fail(error.what(), ", saved in ", (run_ / "current").string(),
           "; a lower learning rate or --clip 1 may help");
    }
    if (ending) conclude(*ending);
    return ending;
  }

 private:
  // The file's options under those of the command line.
  void read_configuration(Settings& settings) {
    if (s_.resume && s_.out.empty())
      throw UsageError("--resume needs --out, the folder of the run to go on with");
    if (s_.resume && !s_.config.empty())
      throw UsageError("--resume takes the configuration of the run; --config has no place beside it");
    if (s_.resume && settings.given("init")) throw UsageError("--resume and --init exclude each other");
    if (s_.resume) {
      check(holds_run(s_.out), s_.out, " holds no run to resume");
      s_.config = (fs::path(s_.out) / "config.toml").string();
      settings.check_unchanged(
          s_.config,
          {"dtype", "seed", "preset", "style", "layers", "heads", "kv-heads", "width", "context", "mlp-width",
           "tied-head", "bias", "tokenizer", "vocab-size", "validation", "order", "optimizer"},
          "and --resume goes on with that");
    }
    if (!s_.config.empty()) {
      // What the file has settled for one option goes when the command line changes that option.
      back_to_defaults_ = settings.apply_file(s_.config, settled_options());
      if (settings.given("steps") && !settings.given("epochs")) s_.epochs.reset();
    }
    check_given(settings, s_.schedule);
    if (settings.given("steps") && settings.given("epochs"))
      throw UsageError("--epochs decides the steps; --steps has no place beside it");
    if (settings.given("patience") && s_.patience > 0 && s_.validation == 0)
      throw UsageError("--patience counts evaluations, of which --validation 0 leaves none");
    if (settings.given("patience-in-cycles") && s_.patience_in_cycles && s_.patience == 0)
      throw UsageError("--patience-in-cycles is for --patience, which is 0");
    if (s_.data.empty()) throw UsageError("train needs --data, a text to learn from");
    device_ = settle_device(s_);
    if (!s_.out.empty() && !s_.resume) check_fresh(s_.out);
    check_writable(s_.out.empty() ? "runs" : s_.out);
    s_.data = absolute_path(s_.data);
    if (!s_.init.empty()) s_.init = fs::canonical(resolve_checkpoint(s_.init)).string();
  }

  void check_fresh(const fs::path& folder) const {
    check(!holds_run(folder), folder.string(),
          " holds a run already: --resume goes on with it, another --out begins anew");
    std::error_code ignored;
    for (const char* file : {"find-lr.json", "study.db"})
      check(!fs::exists(folder / file, ignored), folder.string(),
            " is the folder of a range test or a study: take another --out");
    for (const char* place : {"cycles", "average"})
      check(!s_.average_cycles || !fs::exists(fs::symlink_status(folder / place, ignored)),
            (folder / place).string(),
            " is there already, and --average-cycles writes there: take another --out");
  }

  // Those of the schedule up to now, and those that the run had made before it was resumed, under another one if it was
  // given more steps.
  std::vector<int64_t> ends_of_cycles() const {
    std::vector<int64_t> ends = cycle_ends(*schedule_, trainer_->step());
    ends.insert(ends.end(), earlier_cycles_.begin(), earlier_cycles_.end());
    std::sort(ends.begin(), ends.end());
    ends.erase(std::unique(ends.begin(), ends.end()), ends.end());
    return ends;
  }

  // Of a run that goes on: the cycles that it will write anew, and what it had made of them all when it ended.
  void forget_average() {
    earlier_cycles_ = saved_cycles(run_, trainer_->step());
    keep_cycles(run_, ends_of_cycles());
    if (!fs::exists(run_ / "cycles.json")) return;
    fs::remove_all(run_ / "average");
    fs::remove(run_ / "cycles.json");
  }

  // Of the run to resume; empty when it ended before it had saved any.
  fs::path last_checkpoint() const {
    restore_current(s_.out);
    const fs::path link = fs::path(s_.out) / "current";
    std::error_code ignored;
    return fs::is_symlink(fs::symlink_status(link, ignored)) ? resolve_checkpoint(link) : fs::path();
  }

  bool is_over() const {
    const auto& patience = state_.progress.find("evaluations_without_best");
    const bool gave_up = s_.patience > 0 && patience != state_.progress.end() &&
                         patience->is_number_integer() && patience->get<int64_t>() >= s_.patience;
    const bool all_made = !s_.average_cycles || fs::exists(fs::path(s_.out) / "cycles.json");
    if (!all_made) return false;
    if (!s_.epochs && state_.step == s_.steps) {
      std::printf(
          "The run in %s is finished: it has done its %s steps. --steps with a larger number goes on, "
          "under the schedule that they give.\n",
          s_.out.c_str(), with_commas(s_.steps).c_str());
      return true;
    }
    if (gave_up)
      std::printf("The run in %s has ended: %s without a better one. A larger --patience goes on.\n",
                  s_.out.c_str(), patience_text().c_str());
    return gave_up;
  }

  std::string patience_text() const {
    return concat(s_.patience, s_.patience_in_cycles ? " cycles" : " evaluations");
  }

  // Text, tokenizer, tokens and the model's sizes.
  void read_text(const Settings& settings) {
    TrainingText text = read_training_text(settings, s_, checkpoint_);
    config_ = text.config;
    tokenizer_ = std::move(text.tokenizer);
    tokens_ = std::move(text.tokens);
    split_ = text.split;
    check(!s_.resume || is_data_of(s_.out, tokens_), "resume: ", s_.data, " is not the text that the run in ",
          s_.out, " learns from; it has changed, or is another");
    const bool same_text = !settings.given("data") && !settings.given("tokenizer") &&
                           !settings.given("vocab-size") && !settings.given("init");
    if (!s_.config.empty() && !s_.resume && same_text)
      data_changed_ = !is_data_of(fs::path(s_.config).parent_path(), tokens_);
  }

  void settle_steps() {
    const BatchSampler sampler(tokens_, split_.train, batch_options(s_, config_));
    settle_epochs(s_, sampler);
    check(state_.step <= s_.steps, "resume: the checkpoint is at step ", state_.step, ", past the ", s_.steps,
          " steps of this run");
    epochs_ = static_cast<double>(s_.steps * sampler.windows_per_step()) /
              static_cast<double>(sampler.windows_per_epoch());
    resolve(s_.schedule, s_.steps, s_.optimizer == "sgd" ? 0.1 : 1e-3);
  }

  void show_plan(int states) {
    const DType dtype = parse_dtype(*s_.dtype);
    const MemoryPlan memory = plan_memory(config_, dtype, states, s_.batch_size);
    const auto available = static_cast<double>(device_memory(device_));
    peak_flops_ = measure_peak_flops(device_, dtype);
    if (!back_to_defaults_.empty())
      tell("Note", concat(joined(back_to_defaults_), ": the defaults, not what ", s_.config, " has"));
    if (data_changed_)
      tell("Note",
           concat(s_.data, " has changed since the run of ", s_.config, "; this will be another run"));
    std::printf("Parameters\n%s", parameter_table(config_).c_str());
    tell("Memory", concat("weights ", byte_size(memory.weights), ", gradients ", byte_size(memory.gradients),
                          ", optimizer ", byte_size(memory.optimizer), ", activations about ",
                          byte_size(memory.activations), ": ", byte_size(memory.total()), " of ",
                          byte_size(available)));
    tell("Text", concat(s_.data, ": ", with_commas(tokens_.size()), " tokens of ",
                        with_commas(tokenizer_->vocab_size()), " kinds, ", with_commas(split_.train.size()),
                        " for training, ", with_commas(split_.validation.size()), " for validation"));
    tell("Steps",
         concat(with_commas(s_.steps), " of ", with_commas(s_.batch_size * s_.accumulate * config_.context),
                " tokens, ", printed("%.3g", epochs_), " epochs; ", s_.optimizer, ", ", s_.schedule.policy));
    std::string machine = device_description(device_);
    if (peak_flops_ > 0)
      machine += concat(", peak ", printed("%.1f", peak_flops_ / 1e9), " GFLOP/s in ",
                        device_.is_cpu() ? "f32" : *s_.dtype);
    tell("Machine", machine);
    const std::string advice =
        advice_to_fit(config_, dtype, states, s_.batch_size, s_.accumulate, 0.9 * available);
    std::fflush(stdout);
    check(memory.total() <= 1.25 * available, "this needs ", byte_size(memory.total()),
          " of memory, and there are ", byte_size(available), "; what fits: ", advice);
    if (!advice.empty())
      tell("Warning", concat("this may need more memory than there is; what fits: ", advice));
    std::fflush(stdout);
  }

  TrainerOptions trainer_options() const {
    return {.steps = s_.steps,
            .batch_size = s_.batch_size,
            .accumulate = s_.accumulate,
            .order = batch_options(s_, config_).order,
            .clip = s_.clip,
            .eval_every = s_.eval_every,
            .save_every = s_.save_every,
            .patience = s_.patience,
            .patience_in_cycles = s_.patience_in_cycles,
            .seed = static_cast<uint64_t>(s_.seed),
            .replay = s_.graph};
  }

  TrainerEvents events() {
    TrainerEvents events;
    events.on_step = [this](const StepReport& report) {
      progress_->on_step(report);
      if (events_)
        events_->add(report.step,
                     {{"loss/training", report.loss},
                      {"learning rate", report.lr},
                      {"momentum", report.momentum},
                      {"gradient norm", report.grad_norm},
                      {"tokens per second", static_cast<double>(report.tokens) / report.seconds}});
    };
    events.on_evaluation = [this](int64_t step, const Evaluation& e, bool is_best) {
      progress_->print(concat(
          "step ", step, printed(": validation loss %.4f", e.loss), printed(", accuracy %.4f", e.accuracy),
          printed(", perplexity %.4g", e.perplexity),
          printed(", %.4f bits per character", e.bits_per_character), is_best ? ", the best so far" : ""));
      if (events_)
        events_->add(step, {{"loss/validation", e.loss},
                            {"accuracy/validation", e.accuracy},
                            {"bits per character/validation", e.bits_per_character}});
      append_sample(run_, step,
                    generate(*model_, *tokenizer_, "",
                             {.tokens = 300, .temperature = 0.8, .seed = static_cast<uint64_t>(s_.seed)}));
    };
    events.on_epoch = [this](const EpochReport& report) {
      std::string line = concat("Epoch ", report.epoch, printed(" - Train Loss: %.4f", report.train_loss));
      if (report.evaluation)
        line += printed(" - Eval Loss: %.4f", report.evaluation->loss) +
                printed(" - Eval Accuracy: %.2f", report.evaluation->accuracy);
      progress_->print(line);
    };
    events.on_checkpoint = [this](int64_t step, bool) {
      if (events_) events_->flush();
      progress_->print(concat("saved ", (run_ / "checkpoints" / std::to_string(step)).string()));
    };
    if (s_.average_cycles)
      events.on_cycle = [this](int64_t step) { save_cycle(run_, step, *model_, *tokenizer_); };
    return events;
  }

  // Makes the folder, or takes the one to resume, and writes the configuration.
  fs::path open_folder(const Settings& settings) {
    const fs::path folder = s_.out.empty() ? make_fresh_run_folder() : fs::path(s_.out);
    make_directories(folder);
    if (!lock_) {
      lock_.emplace(folder);
      check_fresh(folder);  // another process may have begun one meanwhile
    }
    tell("Folder", folder.string());
    std::string text = "# The complete configuration of this run, which this repeats:\n";
    text += "#   galvan train --config " + shell_quoted((folder / "config.toml").string()) + "\n\n";
    write_file_atomically(folder / "config.toml", text + settings.to_toml());
    save_data_record(folder, s_.data, tokens_);
    append_session(folder, session());
    if (s_.tensorboard) events_.emplace(folder / "tensorboard", state_.step);
    if (!checkpoint_.empty()) std::printf("Going on after step %s.\n", with_commas(state_.step).c_str());
    std::fflush(stdout);
    return folder;
  }

  Session session() const {
    Session session = this_session(state_.step, command_);
    session.facts.emplace_back("device", device_description(device_));
    if (peak_flops_ > 0)
      session.facts.emplace_back("peak, measured", printed("%.1f GFLOP/s", peak_flops_ / 1e9));
    session.facts.emplace_back("parameters", with_commas(config_.parameters()));
    return session;
  }

  // A run that has trained to its end does not fail for want of its report.
  void report() const {
    try {
      report::write_run_report(run_);
    } catch (const std::exception& error) {
      std::fprintf(stderr, "galvan: warning: there is no report: %s\n", error.what());
    }
  }

  // Leaves what a run leaves at its end, and says how to go on.
  void conclude(Ending ending) {
    progress_->finish();
    const std::string folder = shell_quoted(run_.string());
    if (ending == Ending::stopped) {
      std::printf("Stopped after step %s. This goes on:\n  %s train --out %s --resume\n",
                  with_commas(trainer_->step()).c_str(), program_.c_str(), folder.c_str());
      return;
    }
    const std::vector<int64_t> ends = ends_of_cycles();
    draw_curves(run_, {ends.begin(), ends.end()});
    std::optional<CycleLosses> cycles;
    if (s_.average_cycles)
      cycles = average_cycles(run_, ends, *model_, *tokenizer_, tokens_, split_.validation, s_.batch_size);
    if (s_.report) report();
    write_matmul_algorithms(device_, run_ / "algorithms.txt");
    if (ending == Ending::out_of_patience)
      std::printf("Stopped early: %s without a better one.\n", patience_text().c_str());
    std::printf("Finished after %s steps.", with_commas(trainer_->step()).c_str());
    if (trainer_->best_step() >= 0)
      std::printf(" Best validation loss: %.4f, at step %s.", trainer_->best_loss(),
                  with_commas(trainer_->best_step()).c_str());
    if (cycles && cycles->cycles == 0)
      std::printf("\nNo model of a cycle's end is kept here, so there is no average.");
    if (cycles && cycles->cycles > 0) {
      std::printf("\nThe average of %s cycle ends is in %s.", with_commas(cycles->cycles).c_str(),
                  (run_ / "average").c_str());
      if (cycles->average)
        std::printf(" Its validation loss: %.4f; of their ensemble: %.4f.", *cycles->average,
                    *cycles->ensemble);
    }
    std::printf("\nThe run is in %s. Let the model write:\n  %s sample --checkpoint %s --tokens 500\n",
                run_.string().c_str(), program_.c_str(), folder.c_str());
  }

  std::string program_;  // as a shell takes it
  std::string command_;  // likewise, what began this
  TrainSettings s_;
  std::vector<std::string> back_to_defaults_;  // options of the file that one on the command line outdates
  bool data_changed_ = false;                  // since the run whose config.toml this is
  fs::path checkpoint_;                        // to resume from, or empty
  TrainingState state_;                        // its
  std::unique_ptr<Tokenizer> tokenizer_;
  TokenArray tokens_;
  Split split_;
  ModelConfig config_;
  Device device_;
  double epochs_ = 0, peak_flops_ = 0;
  fs::path run_;                         // the folder
  std::vector<int64_t> earlier_cycles_;  // whose models it had when it was resumed
  std::optional<RunLock> lock_;          // on it
  std::optional<EventWriter> events_;
  std::optional<Progress> progress_;
  std::optional<Schedule> schedule_;
  std::optional<Transformer> model_;
  std::unique_ptr<Optimizer> optimizer_;
  std::optional<Trainer> trainer_;  // of all of these
};

}  // namespace

std::unique_ptr<Command> make_train_command(const std::string& program) {
  return std::make_unique<TrainCommand>(program);
}

std::unique_ptr<TrainingRun> make_training_run() { return std::make_unique<TrainCommand>("galvan"); }

}  // namespace galvan
