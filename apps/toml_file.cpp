#include "apps/toml_file.h"

#include <charconv>

#include "core/check.h"
#include "models/files.h"

// The library asserts what a text such as "[[[" breaks, and an assertion would end the process.
#define TOML_ASSERT(condition) ((condition) ? static_cast<void>(0) : galvan::fail("not TOML"))
#include <toml++/toml.h>

namespace galvan {
namespace {

TomlNode convert(const toml::node& node, const std::string& name) {
  TomlNode result;
  result.line = static_cast<int64_t>(node.source().begin.line);
  if (const auto* flag = node.as_boolean()) {
    result.value = SettingValue(flag->get());
  } else if (const auto* whole = node.as_integer()) {
    result.value = SettingValue(whole->get());
  } else if (const auto* real = node.as_floating_point()) {
    result.value = SettingValue(real->get());
  } else if (const auto* text = node.as_string()) {
    result.value = SettingValue(text->get());
  } else if (const auto* array = node.as_array()) {
    TomlNode::List list;
    for (const auto& element : *array) list.push_back(convert(element, name));
    result.value = std::move(list);
  } else if (const auto* table = node.as_table()) {
    TomlNode::Table entries;
    for (const auto& [key, element] : *table)
      entries.push_back({std::string(key.str()), convert(element, name)});
    result.value = std::move(entries);
  } else {
    fail(name, ":", result.line, ": dates and times have no meaning here");
  }
  return result;
}

}  // namespace

TomlNode parse_toml(const std::string& text, const std::string& name) {
  toml::table table;
  try {
    table = toml::parse(text);
  } catch (const toml::parse_error& error) {
    fail(name, ":", error.source().begin.line, ": ", error.description());
  } catch (const Error& error) {
    fail(name, ": ", error.what());
  }
  return convert(table, name);
}

std::vector<std::pair<std::string, SettingValue>> read_toml(const std::filesystem::path& path) {
  const TomlNode tree = parse_toml(read_text_file(path), path.string());
  std::vector<std::pair<std::string, SettingValue>> values;
  for (const auto& [name, node] : *tree.table()) {
    const SettingValue* value = node.plain();
    check(value != nullptr, path.string(), ": '", name, "' is neither a number, a text, true nor false");
    values.emplace_back(name, *value);
  }
  return values;
}

std::string toml_text(const SettingValue& value) {
  if (const bool* flag = std::get_if<bool>(&value)) return *flag ? "true" : "false";
  if (const int64_t* whole = std::get_if<int64_t>(&value)) return std::to_string(*whole);
  if (const double* real = std::get_if<double>(&value)) {
    char digits[40];
    std::string text(digits, std::to_chars(digits, digits + sizeof digits, *real).ptr);
    if (text.find_first_of(".en") == std::string::npos) text += ".0";
    return text;
  }
  std::string text = "\"";
  for (const char c : std::get<std::string>(value)) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      text += '\\';
      text += c;
    } else if (byte < 0x20 || byte == 0x7f) {
      char escape[8];
      std::snprintf(escape, sizeof escape, "\\u%04X", byte);
      text += escape;
    } else {
      text += c;
    }
  }
  return text + '"';
}

}  // namespace galvan
