// Lines of a test's own source, for the messages that name them.
//
//   tile[i] = 1;  // @written
//   ...
//   CHECK(error == "..., thread (1,0,0) at " + line("written") + ": ...");
#pragma once

#include <fstream>
#include <regex>
#include <string>

namespace galvan {

// "tests/sim/block.cpp:42" of the line that ends in "// @name", in the file of the caller.
inline std::string line(const std::string& name, const std::string& file = __builtin_FILE()) {
  const std::string path = file.substr(file.rfind("tests/"));
  std::ifstream source(std::string(GALVAN_SOURCE_DIR) + "/" + path);
  std::string text;
  for (int number = 1; std::getline(source, text); ++number)
    if (text.ends_with("// @" + name)) return path + ":" + std::to_string(number);
  return path + ": no line ends in // @" + name;
}

// With "0x..." in the place of addresses, which differ from run to run.
inline std::string without_addresses(const std::string& text) {
  return std::regex_replace(text, std::regex("0x[0-9a-f]+"), "0x...");
}

}  // namespace galvan
