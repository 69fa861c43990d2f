// `galvan profile`: what a training step spends its time on.
#include <algorithm>
#include <cstdio>

#include "apps/command.h"
#include "apps/device.h"
#include "apps/profile/table.h"
#include "apps/text_format.h"
#include "apps/train_settings.h"
#include "apps/training_text.h"
#include "core/allocator.h"
#include "core/parallel.h"
#include "models/checkpoint.h"
#include "models/files.h"
#include "models/trainer.h"

namespace galvan {
namespace {

constexpr int64_t kWarmUp = 3;  // steps, after which memory comes out of the allocator's cache

class ProfileCommand : public Command {
 public:
  const char* name() const override { return "profile"; }
  const char* about() const override { return "Tell where the time of a training step goes, op by op"; }
  const char* examples() const override {
    return R"(Examples:
  galvan profile --data input.txt
      a step of preset tiny: calls, time, bytes and FLOPs of every op, and the least time they could take
  galvan profile --config runs/big/config.toml --kernels --trace step.json
      of a run's configuration, with the places of the kernels, and a file for ui.perfetto.dev or chrome://tracing
  galvan profile --data input.txt --kernel matmul=naive
      the same step with another version of a kernel

The options of the run are those of `galvan train`. Nothing is written but the trace.)";
  }

  void add_options(Settings& settings) override {
    settings.group("Profile");
    const SettingOptions own{.in_files = false, .written = false};
    settings.add("samples", &samples_, "steps to watch, of which the medians count",
                 {.least = 1, .most = 1e4, .in_files = false, .written = false});
    settings.add("kernels", &kernels_,
                 "under each op the places in the code that call its kernels, on a card their names", own);
    settings.add("trace", &trace_,
                 "a file for the ops of a step in their order, which Perfetto and Chrome open", own);
    add_run_options(settings, s_);
  }

  int run(Settings& settings) override {
    read_configuration(settings);
    const TrainingText text = read_training_text(settings, s_, {});
    settle_epochs(s_, BatchSampler(text.tokens, text.split.train, batch_options(s_, text.config)));
    resolve(s_.schedule, s_.steps, s_.optimizer == "sgd" ? 0.1 : 1e-3);
    const Schedule schedule = make_schedule(s_.schedule, s_.steps);
    const int64_t needed = kWarmUp + 2 * samples_;
    if (s_.steps < needed)
      throw UsageError(
          concat("--samples ", samples_, " needs ", needed, " steps, and the run has ", s_.steps));

    const Transformer model(text.config, {.seed = static_cast<uint64_t>(s_.seed),
                                          .tensor = {.dtype = parse_dtype(*s_.dtype), .device = device_}});
    if (!s_.init.empty()) load_weights(s_.init, model);
    const auto optimizer = make_optimizer(s_, model);
    Trainer trainer({.model = model,
                     .optimizer = *optimizer,
                     .schedule = schedule,
                     .tokenizer = *text.tokenizer,
                     .tokens = text.tokens,
                     .split = {.train = text.split.train, .validation = {}}},
                    {.steps = s_.steps,
                     .batch_size = s_.batch_size,
                     .accumulate = s_.accumulate,
                     .order = batch_options(s_, text.config).order,
                     .clip = s_.clip,
                     .seed = static_cast<uint64_t>(s_.seed),
                     .replay = false});  // a step that is replayed has no ops
    const Ceilings ceilings{.bytes_per_second = measure_copy_bandwidth(device_),
                            .flops_per_second = measure_peak_flops(device_, parse_dtype(*s_.dtype))};
    for (int64_t i = 0; i < kWarmUp; ++i) trainer.train_step();
    reset_peak_memory(device_);
    watch(trainer);
    tell(text.config, ceilings);
    return 0;
  }

 private:
  void read_configuration(Settings& settings) {
    if (!s_.config.empty()) settings.apply_file(s_.config, settled_options());
    if (s_.data.empty()) throw UsageError("profile needs --data, a text to learn from");
    check_given(settings, s_.schedule);
    device_ = settle_device(s_);
    if (s_.threads > 0) set_threads(static_cast<int>(s_.threads));
    s_.data = absolute_path(s_.data);
    timed_ = !is_simulated(device_);
  }

  // Watched steps and others by turns, so that what watching costs is seen.
  void watch(Trainer& trainer) {
    for (int64_t i = 0; i < samples_; ++i) {
      unwatched_.push_back(trainer.train_step().seconds);
      Recorder recorder(device_);
      const profile::Listening listening(recorder);
      last_ = trainer.train_step();
      steps_.push_back(recorder.take());
    }
    std::sort(unwatched_.begin(), unwatched_.end());
    std::stable_sort(steps_.begin(), steps_.end(),
                     [](const StepRun& a, const StepRun& b) { return a.seconds < b.seconds; });
  }

  void tell(const ModelConfig& config, const Ceilings& ceilings) const {
    const StepRun& median = steps_[steps_.size() / 2];
    std::printf("A step of %s tokens, %s parameters, %s, %s\n",
                with_commas(s_.batch_size * s_.accumulate * config.context).c_str(),
                with_commas(config.parameters()).c_str(), s_.dtype->c_str(),
                device_description(device_).c_str());
    if (timed_)
      std::printf(
          "%.3f ms, the median of %s watched; unwatched %.3f ms; at most %.1f GB/s and %.1f GFLOP/s\n",
          1e3 * median.seconds, with_commas(samples_).c_str(), 1e3 * unwatched_[unwatched_.size() / 2],
          ceilings.bytes_per_second / 1e9, ceilings.flops_per_second / 1e9);
    else
      std::printf("Simulated, so that times mean nothing and none are told\n");
    std::printf("%s of memory at most; loss %.5f in step %s\n",
                byte_size(static_cast<double>(memory_stats(device_).peak_bytes_in_use)).c_str(), last_.loss,
                with_commas(last_.step).c_str());
    std::printf("\n%s", profile_table(profile_rows(steps_, ceilings, kernels_), median.seconds, timed_,
                                      !device_.is_cpu())
                            .c_str());
    if (trace_.empty()) return;
    const std::string title = concat("galvan, a step on ", device_description(device_));
    write_file_atomically(trace_, to_trace(median, title, timed_));
    std::printf("\nThe trace is %s: open it in ui.perfetto.dev or chrome://tracing\n", trace_.c_str());
  }

  TrainSettings s_;
  std::string trace_;
  int64_t samples_ = 10;
  bool kernels_ = false, timed_ = true;
  Device device_;
  StepReport last_;
  std::vector<double> unwatched_;  // seconds
  std::vector<StepRun> steps_;
};

}  // namespace

std::unique_ptr<Command> make_profile_command() { return std::make_unique<ProfileCommand>(); }

}  // namespace galvan
