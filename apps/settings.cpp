#include "apps/settings.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <cmath>

#include "apps/text_format.h"
#include "apps/toml_file.h"

namespace galvan {
namespace {

template <class T>
struct ValueOf {
  using type = T;
};
template <class T>
struct ValueOf<std::optional<T>> {
  using type = T;
};
template <class Pointer>
using ValueType = typename ValueOf<std::remove_pointer_t<Pointer>>::type;

template <class T>
constexpr const char* kind_name() {
  if constexpr (std::is_same_v<T, bool>) return "true or false";
  if constexpr (std::is_same_v<T, int64_t>) return "a whole number";
  if constexpr (std::is_same_v<T, double>) return "a number";
  return "a text";
}

bool is_flag(const SettingTarget& target) {
  return std::visit([]<class P>(P) { return std::is_same_v<ValueType<P>, bool>; }, target);
}

std::string type_name(const SettingTarget& target, const SettingOptions& options) {
  if (!options.choices.empty()) return CLI::detail::join(options.choices, "|");
  return std::visit(
      []<class P>(P) -> std::string {
        if constexpr (std::is_same_v<ValueType<P>, int64_t>) return "N";
        if constexpr (std::is_same_v<ValueType<P>, double>) return "X";
        return "TEXT";
      },
      target);
}

template <class T>
T parse_number(const std::string& text, const std::string& what) {
  T value{};
  const char* begin = text.data() + (text.starts_with('+') ? 1 : 0);
  const auto [end, error] = std::from_chars(begin, text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size())
    fail(what, ": '", text, "' is not ", kind_name<T>());
  return value;
}

SettingValue parse(const std::string& text, const SettingTarget& target, const std::string& what) {
  return std::visit(
      [&]<class P>(P) -> SettingValue {
        using T = ValueType<P>;
        if constexpr (std::is_same_v<T, bool>)
          return text == "true";
        else if constexpr (std::is_same_v<T, std::string>)
          return text;
        else
          return parse_number<T>(text, what);
      },
      target);
}

bool contains(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

// A bound with all its digits: 16777216, not 1.67772e+07.
std::string bound(double number) { return printed("%.12g", number); }

void assign(const SettingTarget& target, const SettingOptions& options, const SettingValue& value,
            const std::string& what) {
  const auto check_range = [&](double number) {
    check(std::isfinite(number), what, ": ", number, " is not a finite number");
    check(number >= options.least, what, ": ", toml_text(value), " is less than ", bound(options.least));
    check(number <= options.most, what, ": ", toml_text(value), " is more than ", bound(options.most));
  };
  std::visit(
      [&]<class P>(P pointer) {
        using T = ValueType<P>;
        if constexpr (std::is_same_v<T, double>)
          if (const int64_t* whole = std::get_if<int64_t>(&value)) {
            check_range(static_cast<double>(*whole));
            *pointer = static_cast<double>(*whole);
            return;
          }
        const T* same = std::get_if<T>(&value);
        check(same != nullptr, what, ": ", toml_text(value), " is not ", kind_name<T>());
        if constexpr (std::is_same_v<T, std::string>) {
          const auto& choices = options.choices;
          check(choices.empty() || contains(choices, *same), what, ": there is no '", *same, "'; there are ",
                CLI::detail::join(choices, ", "));
        } else if constexpr (!std::is_same_v<T, bool>) {
          check_range(static_cast<double>(*same));
        }
        *pointer = *same;
      },
      target);
}

std::optional<SettingValue> present_value(const SettingTarget& target) {
  return std::visit(
      []<class P>(P pointer) -> std::optional<SettingValue> {
        if constexpr (std::is_same_v<std::remove_pointer_t<P>, ValueType<P>>)
          return SettingValue(*pointer);
        else
          return *pointer ? std::optional<SettingValue>(**pointer) : std::nullopt;
      },
      target);
}

// 1 and 1.0 are equal here.
bool equal(const SettingValue& a, const SettingValue& b) {
  const auto number = [](const SettingValue& value) -> std::optional<double> {
    if (const int64_t* whole = std::get_if<int64_t>(&value)) return static_cast<double>(*whole);
    if (const double* real = std::get_if<double>(&value)) return *real;
    return {};
  };
  return a == b || (number(a) && number(a) == number(b));
}

}  // namespace

Settings::Settings() : own_app_(std::make_unique<CLI::App>()), app_(*own_app_) {}
Settings::Settings(CLI::App& app) : app_(app) {}
Settings::Settings(Settings&&) noexcept = default;
Settings::~Settings() = default;

void Settings::add(const std::string& name, SettingTarget target, const std::string& help,
                   SettingOptions options) {
  CLI::Option* option = nullptr;
  const auto value = present_value(target);
  std::string text = help;
  if (is_flag(target)) {
    option = app_.add_flag(options.in_files ? "--" + name + ",!--no-" + name : "--" + name);
    if (value && std::get<bool>(*value)) text += "; default on";
  } else {
    option = app_.add_option("--" + name, CLI::callback_t());
    option->option_text(type_name(target, options));
    const bool says_default = help.find("default") != std::string::npos;
    const std::string* words = value ? std::get_if<std::string>(&*value) : nullptr;
    if (value && !says_default && !(words && words->empty()))
      text += "; default " + (words ? *words : toml_text(*value));
  }
  option->description(text)->take_last();
  if (!group_.empty()) option->group(group_);
  entries_.push_back({name, group_, target, std::move(options), option});
}

void Settings::add_arguments(const std::string& name, std::vector<std::string>* target,
                             const std::string& help) {
  app_.add_option(name, *target, help);
}

void Settings::add_config(std::string* path, const std::string& help) {
  add("config", path, help, {.in_files = false, .written = false});
}

const Settings::Entry* Settings::find(const std::string& name) const {
  for (const Entry& entry : entries_)
    if (entry.name == name) return &entry;
  return nullptr;
}

bool Settings::given(const std::string& name) const {
  const Entry* entry = find(name);
  return entry != nullptr && entry->option->count() > 0;
}

bool Settings::is_used(const Entry& entry) const {
  const SettingUse& use = entry.options.use;
  if (use.option.empty()) return true;
  const auto value = present_value(find(use.option)->target);
  return value && contains(use.values, std::get<std::string>(*value));
}

std::vector<std::string> Settings::apply_file(
    const std::filesystem::path& path, const std::map<std::string, std::vector<std::string>>& settled) {
  const auto values = read_toml(path);
  std::vector<std::string> changed, outdated, left_out;
  for (const auto& [name, value] : values) {
    const Entry* entry = find(name);
    check(entry != nullptr && entry->options.in_files, path.string(), ": unknown option '", name, "'");
    if (!given(name) || equal(value, *present_value(entry->target))) continue;
    changed.push_back(name);
    if (const auto found = settled.find(name); found != settled.end())
      outdated.insert(outdated.end(), found->second.begin(), found->second.end());
  }
  for (const auto& [name, value] : values) {
    const Entry& entry = *find(name);
    if (given(name)) continue;
    if (contains(outdated, name) || contains(changed, entry.options.use.option))
      left_out.push_back(name);
    else
      assign(entry.target, entry.options, value, path.string() + ": " + name);
  }
  std::erase_if(left_out, [&](const std::string& name) { return !is_used(*find(name)); });
  return left_out;
}

bool Settings::takes(const std::string& name) const {
  const Entry* entry = find(name);
  return entry != nullptr && entry->options.in_files;
}

void Settings::set(const std::string& name, const SettingValue& value, const std::string& where) {
  const Entry* entry = find(name);
  check(entry != nullptr, where, ": unknown option '", name, "'");
  assign(entry->target, entry->options, value, where + ": " + name);
}

void Settings::apply_command_line() {
  try {
    for (const Entry& entry : entries_)
      if (entry.option->count() > 0) {
        const std::string what = "--" + entry.name;
        assign(entry.target, entry.options, parse(entry.option->results().back(), entry.target, what), what);
      }
  } catch (const Error& error) {
    throw UsageError(error.what());
  }
}

void Settings::parse_arguments(std::vector<std::string> arguments) {
  std::reverse(arguments.begin(), arguments.end());  // as the library wants them
  app_.parse(arguments);
  apply_command_line();
}

void Settings::check_unchanged(const std::filesystem::path& file, const std::vector<std::string>& names,
                               const std::string& why) const {
  for (const auto& [name, value] : read_toml(file)) {
    if (!contains(names, name) || !given(name)) continue;
    const SettingValue asked = *present_value(find(name)->target);
    if (!equal(asked, value))
      throw UsageError(concat("--", name, " ", toml_text(asked), ": ", file.string(), " has ",
                              toml_text(value), ", ", why));
  }
}

void Settings::check_uses() const {
  for (const Entry& entry : entries_) {
    if (entry.option->count() == 0 || is_used(entry)) continue;
    const auto& [option, values] = entry.options.use;
    const auto present = std::get<std::string>(*present_value(find(option)->target));
    throw UsageError(concat("--", entry.name, " is for --", option, " ", CLI::detail::join(values, " or "),
                            "; with ", present, " it does nothing"));
  }
}

std::string Settings::to_toml() const {
  std::string text, group;
  for (const Entry& entry : entries_) {
    const auto value = present_value(entry.target);
    if (!entry.options.written || !is_used(entry) || !value || *value == SettingValue("")) continue;
    if (entry.group != group) {
      text += (text.empty() ? "# " : "\n# ") + entry.group + "\n";
      group = entry.group;
    }
    text += entry.name + " = " + toml_text(*value) + "\n";
  }
  return text;
}

}  // namespace galvan
