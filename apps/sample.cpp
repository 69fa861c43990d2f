// `galvan sample`: a model writes.
#include "models/sample.h"

#include <chrono>
#include <iostream>

#include "apps/command.h"
#include "apps/device.h"
#include "apps/terminal.h"
#include "apps/text_format.h"
#include "core/parallel.h"
#include "models/checkpoint.h"

namespace galvan {
namespace {

class SampleCommand : public Command {
 public:
  const char* name() const override { return "sample"; }
  const char* about() const override { return "Let a model write"; }
  const char* examples() const override {
    return R"(Examples:
  galvan sample --checkpoint runs/1 --prompt "To be" --tokens 500
  galvan sample --checkpoint runs/1 --temperature 0.8 --top-k 40 --seed 7
  galvan sample --checkpoint runs/1/best --greedy --stop "."

The same seed gives the same text. A folder that Hugging Face's Transformers wrote (GPT-2 or Llama with a
byte-level tokenizer.json) is a checkpoint too.)";
  }

  void add_options(Settings& settings) override {
    settings.add("checkpoint", &checkpoint_, "a run's folder, or a checkpoint's (required)");
    settings.add("prompt", &prompt_, "the text to go on from");
    settings.add("tokens", &options_.tokens, "tokens to write", {.least = 0});
    settings.add("greedy", &greedy_, "always the likeliest token");
    settings.add("temperature", &options_.temperature, "below 1 safer, above 1 wilder", {.least = 0});
    settings.add("top-k", &options_.top_k, "draw among so many likeliest; default 0, all", {.least = 0});
    settings.add("top-p", &options_.top_p, "draw among the likeliest that together have this probability",
                 {.least = 0, .most = 1});
    settings.add("seed", &seed_, "of the draws", {.least = 0});
    settings.add("stop", &options_.stop, "end before this text");
    settings.add("device", &device_, kDeviceHelp, {.choices = {"auto", "cpu", "cuda"}});
    settings.add("threads", &threads_, "threads of computation; default all processors",
                 {.least = 0, .most = 1024});
    settings.add_config(&config_);
  }

  int run(Settings& settings) override {
    if (!config_.empty()) settings.apply_file(config_);
    if (checkpoint_.empty()) throw UsageError("sample needs --checkpoint, a run's folder or a checkpoint's");
    if (greedy_ && settings.given("temperature") && options_.temperature != 0)
      throw UsageError("--greedy and --temperature exclude each other");
    for (const char* name : {"top-k", "top-p"})
      if (greedy_ && settings.given(name))
        throw UsageError(concat("--", name, " has no place beside --greedy, which draws nothing"));
    if (threads_ > 0) set_threads(static_cast<int>(threads_));
    if (greedy_) options_.temperature = 0;
    options_.seed = static_cast<uint64_t>(seed_);
    validate(options_);
    const LoadedModel loaded =
        load_model(resolve_checkpoint(checkpoint_), {.device = choose_device(device_)});
    loaded.tokenizer->encode(prompt_);  // throws before anything is shown
    std::cout << prompt_ << std::flush;
    const auto start = std::chrono::steady_clock::now();
    const std::string text =
        generate(*loaded.model, *loaded.tokenizer, prompt_, options_, [](const std::string& piece) {
          std::cout << piece << std::flush;
          check(static_cast<bool>(std::cout), "cannot write the output");
        });
    const std::chrono::duration<double> time = std::chrono::steady_clock::now() - start;
    std::cout << std::endl;
    if (stderr_is_terminal() && stdout_is_terminal() && !text.empty()) {
      const auto tokens = static_cast<int64_t>(loaded.tokenizer->encode(text).size());
      std::cerr << printed("[%.0f tokens/s]", static_cast<double>(tokens) / time.count()) << "\n";
    }
    return 0;
  }

 private:
  std::string checkpoint_, prompt_, config_, device_ = "auto";
  SampleOptions options_;
  bool greedy_ = false;
  int64_t seed_ = 1337, threads_ = 0;
};

}  // namespace

std::unique_ptr<Command> make_sample_command() { return std::make_unique<SampleCommand>(); }

}  // namespace galvan
