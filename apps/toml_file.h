// TOML files: of plain options, `name = value` lines without tables, and others as a tree.
#pragma once

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "apps/settings.h"

namespace galvan {

// The file's options in alphabetical order. Throws "FILE:3: ..." for what is not TOML, and "FILE: ..." for tables, lists
// and dates.
std::vector<std::pair<std::string, SettingValue>> read_toml(const std::filesystem::path& path);

struct TomlEntry;

// A value, a list or a table, with the line where it begins.
struct TomlNode {
  using List = std::vector<TomlNode>;
  using Table = std::vector<TomlEntry>;  // in alphabetical order
  std::variant<SettingValue, List, Table> value;
  int64_t line = 0;

  const SettingValue* plain() const;
  const List* list() const;
  const Table* table() const;
};

struct TomlEntry {
  std::string name;
  TomlNode node;
};

inline const SettingValue* TomlNode::plain() const { return std::get_if<SettingValue>(&value); }
inline const TomlNode::List* TomlNode::list() const { return std::get_if<List>(&value); }
inline const TomlNode::Table* TomlNode::table() const { return std::get_if<Table>(&value); }

// A text that was read from the file `name`. Throws "NAME:3: ..." for what is not TOML, and for dates and times.
TomlNode parse_toml(const std::string& text, const std::string& name);

// A text or a number as TOML has it. Numbers read back to the same bits.
std::string toml_text(const SettingValue& value);

}  // namespace galvan
