// A TOML file of plain options: `name = value` lines without tables.
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

// A text or a number as TOML has it. Numbers read back to the same bits.
std::string toml_text(const SettingValue& value);

}  // namespace galvan
