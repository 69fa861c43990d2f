// Everything that a training run is made of, as options.
#pragma once

#include <map>
#include <memory>

#include "apps/schedule_settings.h"
#include "models/config.h"
#include "models/dataset.h"
#include "models/tokenizer.h"
#include "models/transformer.h"
#include "optim/optimizer.h"

namespace galvan {

inline constexpr double kMostSteps = 1e8;  // the table of their learning rates and momenta takes 1.6 GB

struct TrainSettings {
  // The run
  std::string data, out, config, init;
  bool resume = false, report = true, tensorboard = false;
  std::string device = "auto";
  int64_t threads = 0;               // 0: all processors
  std::optional<std::string> dtype;  // none: the device's
  bool graph = true, tf32 = false;
  std::string kernels;  // versions, "softmax=naive,matmul=packed"
  int64_t seed = 1337;
  // The model
  std::string preset = "tiny", style = "gpt2";
  std::optional<int64_t> layers, heads, kv_heads, width, context, mlp_width;
  double dropout = 0;
  std::optional<bool> tied_head, bias;
  bool recompute = false;
  // The text
  std::string tokenizer = "char";
  int64_t vocab_size = 4096;  // of bpe
  double validation = 0.1;
  std::string order = "epoch";
  // Training
  int64_t steps = 2000;
  std::optional<double> epochs;  // decides the steps
  int64_t batch_size = 12, accumulate = 1;
  int64_t eval_every = 500, save_every = 500, patience = 0;
  bool patience_in_cycles = false, average_cycles = false;
  // The optimizer
  std::string optimizer = "adamw";
  std::optional<double> momentum, weight_decay;
  double dampening = 0, beta1 = 0.9, beta2 = 0.99, clip = 1;
  bool nesterov = false;
  std::string momentum_form = "torch";
  ScheduleSettings schedule;
};

// Where to train: resolves the device and the dtype, and puts what is computed otherwise than usual in place, the versions
// of kernels and tf32.
Device settle_device(TrainSettings& train);

// Everything but where a run is kept and whether it is resumed, `out` and `resume`.
void add_run_options(Settings& settings, TrainSettings& train);

// By option what a file has settled for it, and goes when the command line changes that option (Settings::apply_file).
const std::map<std::string, std::vector<std::string>>& settled_options();

// The model of these settings, its vocabulary not set yet; resolves the sizes that were left to the preset.
ModelConfig resolve_model(TrainSettings& train);

// Gives the settings of a model that is there already to those that were left open. Throws when one that was set
// says otherwise.
ModelConfig resolve_model(TrainSettings& train, ModelConfig there, const std::string& where);

// The tokenizer that `train.tokenizer` names: made for this text, or read from a file.
std::unique_ptr<Tokenizer> make_tokenizer(const TrainSettings& train, const std::string& text);

// Resolves momentum and weight decay too.
std::unique_ptr<Optimizer> make_optimizer(TrainSettings& train, const Transformer& model);

}  // namespace galvan
