#include "apps/toml_file.h"

#include <charconv>

#include "core/check.h"
#include "models/files.h"

// The library asserts what a text such as "[[[" breaks, and an assertion would end the process.
#define TOML_ASSERT(condition) ((condition) ? static_cast<void>(0) : galvan::fail("not TOML"))
#include <toml++/toml.h>

namespace galvan {

std::vector<std::pair<std::string, SettingValue>> read_toml(const std::filesystem::path& path) {
  const std::string source = read_text_file(path);
  toml::table table;
  try {
    table = toml::parse(source);
  } catch (const toml::parse_error& error) {
    fail(path.string(), ":", error.source().begin.line, ": ", error.description());
  } catch (const Error& error) {
    fail(path.string(), ": ", error.what());
  }
  std::vector<std::pair<std::string, SettingValue>> values;
  for (const auto& [key, node] : table) {
    const std::string name(key.str());
    if (const auto* flag = node.as_boolean())
      values.emplace_back(name, flag->get());
    else if (const auto* whole = node.as_integer())
      values.emplace_back(name, whole->get());
    else if (const auto* real = node.as_floating_point())
      values.emplace_back(name, real->get());
    else if (const auto* text = node.as_string())
      values.emplace_back(name, text->get());
    else
      fail(path.string(), ": '", name, "' is neither a number, a text, true nor false");
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
