// `galvan eval`: how well a model predicts a text.
#include <cstdio>
#include <nlohmann/json.hpp>

#include "apps/command.h"
#include "apps/device.h"
#include "apps/text_format.h"
#include "core/parallel.h"
#include "models/checkpoint.h"
#include "models/evaluate.h"

namespace galvan {
namespace {

class EvalCommand : public Command {
 public:
  const char* name() const override { return "eval"; }
  const char* about() const override { return "Measure how well a model predicts a text"; }
  const char* examples() const override {
    return R"(Examples:
  galvan eval --checkpoint runs/1 --data other.txt
  galvan eval --checkpoint runs/1/best --data input.txt --validation 0.1 --json

Every token is predicted once from those before it, at most the model's context. Loss is in nats a token;
bits per character compare models whose tokens differ.)";
  }

  void add_options(Settings& settings) override {
    settings.add("checkpoint", &checkpoint_, "a run's folder, or a checkpoint's (required)");
    settings.add("data", &data_, "the text (required)");
    settings.add("validation", &validation_, "only this last part of the text; default all of it",
                 {.least = 0, .most = 1});
    settings.add("json", &json_, "print one line of JSON");
    settings.add("batch-size", &batch_size_, "sequences at a time", {.least = 1, .most = 65536});
    settings.add("context", &context_, "tokens to predict from; default the model's context", {.least = 0});
    settings.add("threads", &threads_, "threads of computation; default all processors",
                 {.least = 0, .most = 1024});
    settings.add("device", &device_, kDeviceHelp, {.choices = {"auto", "cpu", "cuda"}});
    settings.add("dtype", &dtype_, "type of the numbers", {.choices = {"f32", "f64", "bf16"}});
    settings.add_config(&config_);
  }

  int run(Settings& settings) override {
    if (!config_.empty()) settings.apply_file(config_);
    if (checkpoint_.empty()) throw UsageError("eval needs --checkpoint, a run's folder or a checkpoint's");
    if (data_.empty()) throw UsageError("eval needs --data, a text");
    if (threads_ > 0) set_threads(static_cast<int>(threads_));
    const LoadedModel loaded = load_model(resolve_checkpoint(checkpoint_),
                                          {.dtype = parse_dtype(dtype_), .device = choose_device(device_)});
    const Tokenizer& tokenizer = *loaded.tokenizer;
    check(context_ <= loaded.model->config().context, "eval: context ", context_,
          " is longer than the model's ", loaded.model->config().context);
    const std::string text = read_corpus(data_, tokenizer.kind() == TokenizerKind::byte);
    const TokenArray tokens(tokenizer.encode(text), tokenizer.vocab_size());
    TokenRange range{0, tokens.size()};
    if (validation_ > 0 && validation_ < 1) range = split_tokens(tokens.size(), validation_).validation;
    const Evaluation e = evaluate(*loaded.model, tokens, range, tokenizer, batch_size_, context_);
    if (json_)
      print_json(e);
    else
      print_table(e);
    return 0;
  }

 private:
  static void print_json(const Evaluation& e) {
    const auto number = [](double value) { return nlohmann::json(value).dump(); };
    std::printf("{\"loss\":%s, \"accuracy\":%s, \"perplexity\":%s, \"bits_per_character\":%s}\n",
                number(e.loss).c_str(), number(e.accuracy).c_str(), number(e.perplexity).c_str(),
                number(e.bits_per_character).c_str());
  }

  static void print_table(const Evaluation& e) {
    const auto line = [](const char* what, const std::string& value) {
      std::printf("%-20s%12s\n", what, value.c_str());
    };
    line("loss", printed("%.4f", e.loss));
    line("accuracy", printed("%.4f", e.accuracy));
    line("perplexity", printed("%.4f", e.perplexity));
    line("bits per character", printed("%.4f", e.bits_per_character));
    line("tokens", with_commas(e.tokens));
  }

  std::string checkpoint_, data_, config_, dtype_ = "f32", device_ = "auto";
  double validation_ = 0;
  bool json_ = false;
  int64_t batch_size_ = 16, context_ = 0, threads_ = 0;
};

}  // namespace

std::unique_ptr<Command> make_eval_command() { return std::make_unique<EvalCommand>(); }

}  // namespace galvan
