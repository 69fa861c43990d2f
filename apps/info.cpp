// `galvan info`: this build and this machine, or a model.
#include <cstdio>
#include <iostream>

#include "apps/command.h"
#include "apps/device.h"
#include "apps/machine.h"
#include "apps/plan.h"
#include "apps/text_format.h"
#include "core/cpu/peak.h"
#include "core/cpu/simd/isa.h"
#include "core/parallel.h"
#include "models/checkpoint.h"

namespace galvan {
namespace {

// What the processor has of what the kernels use or could use.
std::string processor_features() {
  std::vector<std::string> names;
#ifdef __x86_64__
  const auto add = [&](const char* name, int there) {
    if (there) names.push_back(name);
  };
  add("avx2", __builtin_cpu_supports("avx2"));
  add("fma", __builtin_cpu_supports("fma"));
  add("avx512f", __builtin_cpu_supports("avx512f"));
  add("avx512bw", __builtin_cpu_supports("avx512bw"));
  add("avx512dq", __builtin_cpu_supports("avx512dq"));
  add("avx512vl", __builtin_cpu_supports("avx512vl"));
  add("avx512_bf16", __builtin_cpu_supports("avx512bf16"));
#endif
  return names.empty() ? "none beyond the architecture's own" : joined(names);
}

// The instructions that the kernels were compiled for and can run here, with the chosen ones named.
std::string kernel_choice() {
  std::vector<std::string> sets;
  for (const Isa set : {Isa::baseline, Isa::avx2, Isa::avx512})
    if (isa_available(set)) sets.push_back(isa_name(set));
  return std::string(isa_name(isa())) + " (of " + joined(sets) + ")";
}

class InfoCommand : public Command {
 public:
  const char* name() const override { return "info"; }
  const char* about() const override {
    return "Show this build and what this machine can do at most, or a model's sizes";
  }
  const char* examples() const override {
    return R"(Examples:
  galvan info
  galvan info --checkpoint runs/1

The peak is that of fused multiply-adds in registers: no program reaches it, and `galvan train`
shows which part of it a training step gets.)";
  }

  void add_options(Settings& settings) override {
    settings.add("checkpoint", &checkpoint_, "a run's folder, or a checkpoint's: show this model instead");
    settings.add("threads", &threads_, "threads of computation; default all processors",
                 {.least = 0, .most = 1024});
    settings.add_config(&config_);
  }

  int run(Settings& settings) override {
    if (!config_.empty()) settings.apply_file(config_);
    if (checkpoint_.empty())
      show_machine();
    else
      show_model();
    return 0;
  }

 private:
  static void line(const char* what, const std::string& value) {
    std::printf("%-15s%s\n", what, value.c_str());
  }

  void show_machine() const {
    if (threads_ > 0) set_threads(static_cast<int>(threads_));
    line("galvan", concat(GALVAN_VERSION, ", commit ", commit()));
    line("compiler", compiler_name());
    line("build", GALVAN_BUILD);
    line("processor", processor_name());
    line("instructions", processor_features());
    line("kernels", kernel_choice());
    line("threads", std::to_string(threads()));
    line("memory", byte_size(static_cast<double>(physical_memory())));
    line("peak", printed("%.1f", measure_peak_flops(0.2) / 1e9) + " GFLOP/s in f32");
    line("copying", printed("%.1f", measure_copy_bandwidth() / 1e9) + " GB/s read and written");
    for (const auto& [name, value] : describe_cuda()) line(name.c_str(), value);
  }

  void show_model() const {
    const std::filesystem::path folder = resolve_checkpoint(checkpoint_);
    const ModelConfig c = load_config(folder);
    const auto tokenizer = Tokenizer::load(folder / "tokenizer.json");
    line("checkpoint", std::filesystem::canonical(folder).string());
    if (std::filesystem::exists(folder / "training.json"))
      line("steps done", with_commas(load_training_state(folder).step));
    line("layers", concat(c.layers, " of ", c.heads, " heads, ", c.width, " wide, ",
                          c.norm == Norm::rms ? "RMS norm, " : "", c.mlp == Mlp::swiglu ? "SwiGLU" : "GELU"));
    line("context", concat(with_commas(c.context), " tokens"));
    line("tokenizer",
         concat(to_string(tokenizer->kind()), ", ", with_commas(tokenizer->vocab_size()), " tokens"));
    std::printf("parameters\n%s", parameter_table(c).c_str());
  }

  std::string checkpoint_, config_;
  int64_t threads_ = 0;
};

}  // namespace

std::unique_ptr<Command> make_info_command() { return std::make_unique<InfoCommand>(); }

}  // namespace galvan
