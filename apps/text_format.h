// Numbers as people read them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace galvan {

std::string with_commas(int64_t n);                         // 811,264
std::string byte_size(double bytes);                        // 3.2 MB
std::string duration(double seconds);                       // 0:07, 12:40, 3:05:00
std::string joined(const std::vector<std::string>& names);  // lr, momentum
std::string printed(const char* format, double value);

// A path as a shell takes it: 'with quotes' where it needs them.
std::string shell_quoted(const std::string& text);

}  // namespace galvan
