// A command's options, listed once: what the command line takes, what a TOML file may hold, and what is written as
// the effective configuration of a run.
//
//   Settings settings(app);                                 // a CLI::App
//   settings.group("Training");
//   settings.add("batch-size", batch_size, "sequences of one step", {.least = 1});
//   app.parse(argc, argv);
//   settings.apply_command_line();                          // --batch-size 24
//   settings.apply_file("run.toml");                        // batch-size = 12: the command line wins
//   write(settings.to_toml());
//
// Mistakes on the command line throw UsageError, those in a file Error; both name the option and its value.
#pragma once

#include <cstdint>
#include <filesystem>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "core/check.h"

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace galvan {

class UsageError : public Error {
  using Error::Error;
};

// A value as a person writes it.
using SettingValue = std::variant<bool, int64_t, double, std::string>;

// Where an option's value goes. What is optional has a default that depends on other options.
using SettingTarget =
    std::variant<bool*, int64_t*, double*, std::string*, std::optional<bool>*, std::optional<int64_t>*,
                 std::optional<double>*, std::optional<std::string>*>;

// What an option is for: the values of another option with which it means something.
struct SettingUse {
  std::string option = {};
  std::vector<std::string> values = {};
};

struct SettingOptions {
  std::vector<std::string> choices = {};  // the texts it takes; empty: any
  double least = -std::numeric_limits<double>::infinity();
  double most = std::numeric_limits<double>::infinity();
  bool in_files = true;  // may stand in a TOML file
  bool written = true;   // is part of to_toml()
  SettingUse use = {};   // without an option: for everything
};

class Settings {
 public:
  Settings();  // of files, or of arguments for parse_arguments()
  explicit Settings(CLI::App& app);
  Settings(Settings&&) noexcept;
  ~Settings();

  // The heading of the options that follow, in the help and in files.
  void group(const std::string& name) { group_ = name; }

  // Adds --NAME VALUE, or for a bool --NAME and (if it may stand in files) --no-NAME. The target's present value is the
  // default, which the help shows unless `help` says its own after "default".
  void add(const std::string& name, SettingTarget target, const std::string& help,
           SettingOptions options = {});

  // Adds what stands on the command line without a name, any number of it, shown as `name` in the help.
  void add_arguments(const std::string& name, std::vector<std::string>* target, const std::string& help);

  // Adds --config FILE, which `path` gets; who has it calls apply_file.
  void add_config(std::string* path,
                  const std::string& help = "a TOML file of options; the command line wins");

  // Was it on the command line?
  bool given(const std::string& name) const;

  // Sets what the file has and the command line, which has been applied, has not: but for what the file settled by an
  // option that the command line changes, that is what is used with that option and what `settled` names for it. These
  // keep their defaults, and are returned. Throws "FILE: unknown option 'batchsize'" and the like.
  std::vector<std::string> apply_file(const std::filesystem::path& path,
                                      const std::map<std::string, std::vector<std::string>>& settled = {});

  // May a file have it?
  bool takes(const std::string& name) const;
  // Sets one option, as a file does; `where` begins the message of what is wrong.
  void set(const std::string& name, const SettingValue& value, const std::string& where);
  // What an option is for, and whether that is so now.
  const SettingUse& use(const std::string& name) const { return find(name)->options.use; }
  bool is_used(const std::string& name) const { return is_used(*find(name)); }

  // Sets what the command line has, once the app has parsed it.
  void apply_command_line();
  // The same of arguments: options and values, without the command's name.
  void parse_arguments(std::vector<std::string> arguments);

  // Throws when the command line has another value for one of `names` than the file; `why` ends the message.
  void check_unchanged(const std::filesystem::path& file, const std::vector<std::string>& names,
                       const std::string& why) const;

  // Throws when an option on the command line means nothing beside the others.
  void check_uses() const;

  // Every written option that has a value and a use, under the headings of the groups. Numbers read back to the same bits.
  std::string to_toml() const;

 private:
  struct Entry {
    std::string name, group;
    SettingTarget target;
    SettingOptions options;
    CLI::Option* option;
  };
  const Entry* find(const std::string& name) const;
  bool is_used(const Entry& entry) const;

  std::unique_ptr<CLI::App> own_app_;
  CLI::App& app_;
  std::string group_;
  std::vector<Entry> entries_;
};

}  // namespace galvan
