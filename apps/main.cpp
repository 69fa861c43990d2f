// The `galvan` command: one subcommand a file.
#include <fcntl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <new>

#include "apps/command.h"

namespace {

using namespace galvan;

constexpr const char* kExamples = R"(Examples:
  galvan train --data input.txt            learn from a text; the run's folder is runs/1
  galvan sample --checkpoint runs/1        let the model write
  galvan eval --checkpoint runs/1 --data other.txt
  galvan report runs/1                     write a page of its curves and samples
  galvan find-lr --data input.txt          find the learning rates of a run
  galvan tune study.toml --out runs/study  search for the best options
  galvan schedule --policy cyclic          draw a learning-rate schedule
`galvan COMMAND --help` explains a command's options.)";

// Names of options without the defaults of flags, which the library's own help shows as {false}.
class HelpFormatter : public CLI::Formatter {
  std::string make_option_name(const CLI::Option* option, bool positional) const override {
    if (positional) return Formatter::make_option_name(option, positional);
    std::string names;
    for (const auto& name : option->get_snames()) names += (names.empty() ? "-" : ", -") + name;
    for (const auto& name : option->get_lnames()) names += (names.empty() ? "--" : ", --") + name;
    return names;
  }
};

// A message of one line, whatever it holds.
int complain(std::string message, int code) {
  for (char& c : message)
    if (c == '\n' || c == '\r') c = ' ';
  std::cout.flush();
  std::fprintf(stderr, "galvan: %s\n", message.c_str());
  return code;
}

// What the library says of a mistake, in our words where its own are hard to read.
std::string explain(const CLI::ParseError& error, const CLI::App& app) {
  const std::string message = error.what();
  if (dynamic_cast<const CLI::ArgumentMismatch*>(&error) != nullptr)
    return message.substr(0, message.find(':')) + " needs a value";
  if (dynamic_cast<const CLI::ExtrasError*>(&error) != nullptr) {
    for (const std::string& argument : app.remaining(true))
      if (argument.starts_with('-')) return "there is no option " + argument;
    return "what is '" + app.remaining(true).front() + "' for? Options begin with --";
  }
  return message;
}

// What the caller has closed of standard input, output and error would be the descriptors of the next files that are
// opened, and messages would be written into them. Writing to these is an error.
void take_closed_descriptors() {
  for (const int file : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
    if (::fcntl(file, F_GETFD) < 0 && ::open("/dev/null", O_RDONLY) != file) std::abort();
}

int run(int argc, char** argv) {
  CLI::App app("Trains small transformer language models on text, and writes with them.", "galvan");
  app.formatter(std::make_shared<HelpFormatter>());
  app.get_formatter()->column_width(38);
  app.footer(kExamples);
  app.require_subcommand(1);
  app.set_version_flag("--version", "galvan " GALVAN_VERSION);

  std::vector<std::unique_ptr<Command>> commands;
  commands.push_back(make_train_command(argv[0]));
  commands.push_back(make_find_lr_command(argv[0]));
  commands.push_back(make_tune_command(argv[0]));
  commands.push_back(make_replicas_command());
  commands.push_back(make_sample_command());
  commands.push_back(make_eval_command());
  commands.push_back(make_schedule_command());
  commands.push_back(make_report_command());
  commands.push_back(make_info_command());
  commands.push_back(make_bench_command());
  commands.push_back(make_profile_command());

  std::vector<Settings> settings;
  settings.reserve(commands.size());
  for (const auto& command : commands) {
    CLI::App* sub = app.add_subcommand(command->name(), command->about());
    sub->footer(command->examples());
    if (*command->about() == '\0') sub->group("");
    command->add_options(settings.emplace_back(*sub));
  }

  std::string hint = "`galvan --help` shows the commands";
  const auto is_named = [&](const auto& command) { return std::string(argv[1]) == command->name(); };
  if (argc > 1 && argv[1][0] != '-' && std::none_of(commands.begin(), commands.end(), is_named))
    return complain(std::string("there is no command '") + argv[1] + "'; " + hint, 2);
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& request) {  // --help, --version
    return app.exit(request);
  } catch (const CLI::ParseError& error) {
    for (const auto& command : commands)
      if (app.got_subcommand(command->name()))
        hint = std::string("`galvan ") + command->name() + " --help` shows the options";
    return complain(explain(error, app) + "; " + hint, 2);
  }
  for (size_t i = 0; i < commands.size(); ++i) {
    if (!app.got_subcommand(commands[i]->name())) continue;
    try {
      settings[i].apply_command_line();
      return commands[i]->run(settings[i]);
    } catch (const UsageError& error) {
      return complain(
          std::string(error.what()) + "; `galvan " + commands[i]->name() + " --help` shows the options", 2);
    }
  }
  return 2;
}

}  // namespace

int main(int argc, char** argv) {
  take_closed_descriptors();
  std::signal(SIGXFSZ, SIG_IGN);  // a file that may not grow is an error of write(), with a message
  try {
    const int code = run(argc, argv);
    std::cout.flush();
    std::fflush(stdout);
    if (!std::cout || std::ferror(stdout)) return complain("cannot write the output", 1);
    return code;
  } catch (const std::bad_alloc&) {
    return complain("out of memory", 1);
  } catch (const std::exception& error) {
    return complain(error.what(), 1);
  }
}
