#include "apps/train_settings.h"

#include <filesystem>

#include "apps/device.h"
#include "core/variants.h"
#include "models/bpe.h"
#include "optim/adam.h"
#include "optim/sgd.h"

namespace galvan {

void add_run_options(Settings& settings, TrainSettings& t) {
  const SettingOptions positive{.least = 1}, natural{.least = 0};
  const SettingOptions sgd{.use = {"optimizer", {"sgd"}}},
      adam_decay{.least = 0, .most = 1, .use = {"optimizer", {"adam", "adamw"}}};

  settings.group("Run");
  settings.add("data", &t.data, "the text to learn from (required)");
  settings.add_config(&t.config,
                      "a TOML file of options, such as a run's config.toml; the command line wins");
  settings.add("report", &t.report,
               "at the end, write report.html: curves, samples and configuration as a page");
  settings.add("tensorboard", &t.tensorboard,
               "write event files for TensorBoard into the run's folder tensorboard");
  settings.add("init", &t.init, "start from the weights, sizes and tokenizer of this checkpoint or run");
  settings.add("device", &t.device, kDeviceHelp, {.choices = {"auto", "cpu", "cuda"}});
  settings.add("threads", &t.threads,
               "threads of computation, which change no result; default 0, all processors",
               {.least = 0, .most = 1024});
  settings.add(
      "dtype", &t.dtype,
      "type of weights and activations; default f32, on a card bf16 with f32 copies for the optimizer",
      {.choices = {"f32", "f64", "bf16"}});
  settings.add("tf32", &t.tf32, "on a card, round the operands of f32 matrix products to 10 bits: faster");
  settings.add("graph", &t.graph,
               "on a card, record the step once and replay it; no-graph runs it kernel by kernel");
  settings.add(
      "kernel", &t.kernels,
      "train with other versions of kernels, of those that galvan bench shows: softmax=naive, or several "
      "with commas between");
  settings.add("seed", &t.seed, "of initial weights, batches, dropout and samples", natural);

  settings.group("Model");
  settings.add("preset", &t.preset, "sizes to start from", {.choices = preset_names()});
  settings.add("style", &t.style, "llama: RMS norm, rotary positions, SwiGLU, no biases, untied head",
               {.choices = {"gpt2", "llama"}});
  settings.add("layers", &t.layers, "blocks of attention and MLP; default the preset's", positive);
  settings.add("heads", &t.heads, "attention heads; default the preset's", positive);
  settings.add("kv-heads", &t.kv_heads, "heads of keys and values; default as many as heads", natural);
  settings.add("width", &t.width, "channels; default the preset's", positive);
  settings.add("context", &t.context, "tokens the model sees at once; default the preset's", positive);
  settings.add("mlp-width", &t.mlp_width,
               "hidden channels of the MLP; default 4 times the width, of llama 8/3", natural);
  settings.add("dropout", &t.dropout, "part of the activations dropped in training", {.least = 0, .most = 1});
  settings.add("tied-head", &t.tied_head, "the head shares the embedding; default on, of llama off");
  settings.add("bias", &t.bias, "biases in linear layers and norms; default on, of llama off");
  settings.add("recompute", &t.recompute, "run each block again in backward: less memory, more time");

  settings.group("Text");
  settings.add("tokenizer", &t.tokenizer, "char, byte, bpe (learnt from the text), or a tokenizer.json");
  settings.add("vocab-size", &t.vocab_size, "tokens that bpe learns",
               {.least = 256, .most = 1 << 24, .use = {"tokenizer", {"bpe"}}});
  settings.add("validation", &t.validation, "part of the text, at its end, kept for evaluation",
               {.least = 0, .most = 0.99});
  settings.add("order", &t.order, "epoch: every window once an epoch, shuffled; random: windows anywhere",
               {.choices = {"epoch", "random"}});

  settings.group("Training");
  settings.add("steps", &t.steps, "updates in all", {.least = 1, .most = kMostSteps});
  settings.add("epochs", &t.epochs, "passes over the text, in place of steps", natural);
  settings.add("batch-size", &t.batch_size, "sequences at a time", {.least = 1, .most = 65536});
  settings.add("accumulate", &t.accumulate, "batches whose gradients make one update",
               {.least = 1, .most = 65536});
  settings.add("eval-every", &t.eval_every, "steps between evaluations, besides epochs' ends; 0: only those",
               natural);
  settings.add("save-every", &t.save_every,
               "steps between checkpoints, besides those of best losses; 0: only those", natural);
  settings.add("patience", &t.patience, "stop after so many evaluations without a better one; 0: never",
               natural);

  settings.add("patience-in-cycles", &t.patience_in_cycles,
               "patience counts cycles of the schedule, and stops at a cycle's end only");
  settings.add("average-cycles", &t.average_cycles,
               "keep the model of each cycle's end; average them at the end, and measure their ensemble");

  settings.group("Optimizer");
  settings.add("optimizer", &t.optimizer, "how weights move", {.choices = {"adamw", "adam", "sgd"}});
  settings.add("momentum", &t.momentum, "sgd: how much of the last step goes on; default 0.9",
               {.least = 0, .most = 1, .use = sgd.use});
  settings.add("dampening", &t.dampening, "sgd: what of each gradient the momentum leaves out",
               {.least = 0, .most = 1, .use = sgd.use});
  settings.add("nesterov", &t.nesterov, "sgd: look ahead along the momentum", sgd);
  settings.add("momentum-form", &t.momentum_form,
               "sgd: is the learning rate applied to the momentum, or inside it",
               {.choices = {"torch", "classic"}, .use = sgd.use});
  settings.add("beta1", &t.beta1, "adam, adamw: decay of the gradient's mean", adam_decay);
  settings.add("beta2", &t.beta2, "adam, adamw: decay of the squared gradient's mean", adam_decay);
  settings.add("weight-decay", &t.weight_decay,
               "pull of matrices to zero, biases and norms left alone; default 0.1 for adamw, else 0");
  settings.add("clip", &t.clip, "largest norm of all gradients together; 0: any", natural);

  settings.group("Schedule");
  add_schedule_options(settings, t.schedule, "schedule");
}

Device settle_device(TrainSettings& t) {
  const Device device = choose_device(t.device);
  t.device = device.is_cpu() ? "cpu" : "cuda";
  choose_variants(t.kernels, t.device);
  if (t.tf32) allow_tf32(device);
  if (!t.dtype) t.dtype = name(default_dtype(device));
  return device;
}

const std::map<std::string, std::vector<std::string>>& settled_options() {
  static const std::map<std::string, std::vector<std::string>> settled = {
      {"preset", {"layers", "heads", "kv-heads", "width", "context", "mlp-width"}},
      {"style", {"tied-head", "bias", "mlp-width"}},
      {"heads", {"kv-heads"}},
      {"width", {"mlp-width"}},
      {"optimizer", {"lr", "min-lr", "base-lr", "max-lr", "weight-decay"}},
      {"lr", {"min-lr", "base-lr", "max-lr"}},
      {"max-lr", {"base-lr"}},
      {"tail", {"pct-start", "anneal", "div-factor", "final-div-factor", "three-phase"}},
      {"step-size-up", {"step-size-down", "cycles"}},
      {"cycles", {"step-size-up", "step-size-down"}}};
  return settled;
}

ModelConfig resolve_model(TrainSettings& t) {
  ModelConfig config = preset(t.preset);
  if (t.style == "llama") config = llama_style(config);
  const auto settle = [](auto& setting, auto& field) {
    if (setting)
      field = *setting;
    else
      setting = field;
  };
  settle(t.layers, config.layers);
  settle(t.heads, config.heads);
  settle(t.kv_heads, config.kv_heads);
  settle(t.width, config.width);
  settle(t.context, config.context);
  settle(t.mlp_width, config.mlp_width);
  settle(t.tied_head, config.tied_head);
  settle(t.bias, config.bias);
  config.dropout = t.dropout;
  config.recompute = t.recompute;
  config.vocab = 1;
  validate(config);  // before anything is divided by them
  t.mlp_width = config.hidden();
  t.kv_heads = config.key_value_heads();
  return config;
}

ModelConfig resolve_model(TrainSettings& t, ModelConfig there, const std::string& where) {
  const auto settle = [&](const char* name, auto& setting, auto value) {
    check(!setting || *setting == value, where, ": ", name, " is ", value, ", but ", *setting,
          " was asked for");
    setting = value;
  };
  settle("layers", t.layers, there.layers);
  settle("heads", t.heads, there.heads);
  settle("kv-heads", t.kv_heads, there.key_value_heads());
  settle("width", t.width, there.width);
  settle("context", t.context, there.context);
  settle("mlp-width", t.mlp_width, there.hidden());
  settle("tied-head", t.tied_head, there.tied_head);
  settle("bias", t.bias, there.bias);
  t.style = there.norm == Norm::rms ? "llama" : "gpt2";
  there.dropout = t.dropout;
  there.recompute = t.recompute;
  return there;
}

std::unique_ptr<Tokenizer> make_tokenizer(const TrainSettings& t, const std::string& text) {
  if (t.tokenizer == "char") return CharacterTokenizer::train(text);
  if (t.tokenizer == "byte") return BpeTokenizer::bytes();
  if (t.tokenizer == "bpe") return BpeTokenizer::train(text, {.vocab_size = t.vocab_size});
  std::error_code ignored;
  check(std::filesystem::exists(t.tokenizer, ignored), "--tokenizer ", t.tokenizer,
        ": neither char, byte or bpe nor a file that is there");
  return Tokenizer::load(t.tokenizer);
}

std::unique_ptr<Optimizer> make_optimizer(TrainSettings& t, const Transformer& model) {
  const bool is_sgd = t.optimizer == "sgd";
  if (!t.weight_decay) t.weight_decay = t.optimizer == "adamw" ? 0.1 : 0.0;
  if (is_sgd && !t.momentum) t.momentum = 0.9;
  auto groups = decay_matrices_only(model.parameters());
  if (is_sgd)
    return std::make_unique<SGD>(
        std::move(groups), SGDOptions{.lr = *t.schedule.lr,
                                      .momentum = *t.momentum,
                                      .dampening = t.dampening,
                                      .weight_decay = *t.weight_decay,
                                      .nesterov = t.nesterov,
                                      .momentum_form = t.momentum_form == "classic" ? MomentumForm::classic
                                                                                    : MomentumForm::torch});
  const AdamOptions options{
      .lr = *t.schedule.lr, .beta1 = t.beta1, .beta2 = t.beta2, .weight_decay = *t.weight_decay};
  if (t.optimizer == "adam") return std::make_unique<Adam>(std::move(groups), options);
  return std::make_unique<AdamW>(std::move(groups), options);
}

}  // namespace galvan
