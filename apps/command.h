// The subcommands of `galvan`, each in a file of its own.
#pragma once

#include <memory>
#include <vector>

#include "apps/settings.h"

namespace galvan {

class Command {
 public:
  virtual ~Command() = default;

  virtual const char* name() const = 0;
  virtual const char* about() const = 0;     // one line; empty: the command is not shown
  virtual const char* examples() const = 0;  // what to learn from, under the options

  virtual void add_options(Settings& settings) = 0;

  // The process's exit code. The command line has been applied to the settings.
  virtual int run(Settings& settings) = 0;
};

// `program`: how the command was called, for what a run tells to type next.
std::unique_ptr<Command> make_train_command(const std::string& program);
std::unique_ptr<Command> make_find_lr_command(const std::string& program);
std::unique_ptr<Command> make_tune_command(const std::string& program);
std::unique_ptr<Command> make_replicas_command();
std::unique_ptr<Command> make_sample_command();
std::unique_ptr<Command> make_eval_command();
std::unique_ptr<Command> make_schedule_command();
std::unique_ptr<Command> make_report_command();
std::unique_ptr<Command> make_info_command();
std::unique_ptr<Command> make_bench_command();
std::unique_ptr<Command> make_profile_command();

}  // namespace galvan
