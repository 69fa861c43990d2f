// `galvan` as a process that this one starts.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>
#include <vector>

namespace galvan {

struct ChildFiles {
  std::filesystem::path out, err;  // what it prints goes to their ends; err is emptied first
  int in = -1;                     // its standard input, a descriptor; -1: this process's
  std::filesystem::path program = "/proc/self/exe";  // a galvan
};

// Starts `galvan ARGUMENTS` in `directory`. Ctrl-C does not reach it; when this process ends, the kernel asks it to stop
// (SIGTERM). Its exit code is 127 where the directory or a file is not to be had. Throws when there is no process.
pid_t start_galvan(std::vector<std::string> arguments, const std::filesystem::path& directory,
                   const ChildFiles& files);

}  // namespace galvan
