// `galvan info`: this build and this machine.
#include <cstdio>
#include <iostream>

#include "apps/command.h"
#include "apps/machine.h"
#include "apps/text_format.h"
#include "core/cpu/simd/isa.h"
#include "core/parallel.h"

namespace galvan {
namespace {

#ifdef __clang__
constexpr const char* kCompiler = "clang " __clang_version__;
#else
constexpr const char* kCompiler = "g++ " __VERSION__;
#endif

class InfoCommand : public Command {
 public:
  const char* name() const override { return "info"; }
  const char* about() const override { return "Show this build, this machine and what it can do at most"; }
  const char* examples() const override {
    return R"(The peak is that of fused multiply-adds in registers: no program reaches it, and `galvan train`
shows which part of it a training step gets.)";
  }

  void add_options(Settings& settings) override {
    settings.add("threads", &threads_, "threads of computation; default all processors",
                 {.least = 0, .most = 1024});
  }

  int run(Settings&) override {
    if (threads_ > 0) set_threads(static_cast<int>(threads_));
    std::string sets;
    for (const Isa set : {Isa::baseline, Isa::avx2, Isa::avx512})
      if (isa_available(set)) sets += (sets.empty() ? "" : ", ") + std::string(isa_name(set));
    const auto line = [](const char* what, const std::string& value) {
      std::printf("%-15s%s\n", what, value.c_str());
    };
    line("galvan", GALVAN_VERSION);
    line("compiler", kCompiler);
    line("build", GALVAN_BUILD);
    line("processor", processor_name());
    line("instructions", std::string(isa_name(isa())) + " (of " + sets + ")");
    line("threads", std::to_string(threads()));
    line("memory", byte_size(static_cast<double>(physical_memory())));
    line("peak", printed("%.1f", measure_peak_flops(0.2) / 1e9) + " GFLOP/s in f32");
    line("copying", printed("%.1f", measure_copy_bandwidth() / 1e9) + " GB/s read and written");
    line("devices", "cpu");
    line("CUDA", "not in this build");
    return 0;
  }

 private:
  int64_t threads_ = 0;
};

}  // namespace

std::unique_ptr<Command> make_info_command() { return std::make_unique<InfoCommand>(); }

}  // namespace galvan
