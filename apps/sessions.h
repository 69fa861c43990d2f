// A run's sessions.jsonl: a line for every process that trained in it, with its command, versions and machine. A run
// that was never resumed has one.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

namespace galvan {

// What a process knew when it began.
struct Session {
  int64_t step = 0;  // updates that were done before
  // Names and values for people, in the order to show: "command", "folder", "started", ...
  std::vector<std::pair<std::string, std::string>> facts = {};
};

// What this process was called with, as a shell takes it.
std::string typed_command();

// Of this process: the command that it works on and where, the time, the program's version and the machine.
Session this_session(int64_t step, const std::string& command);

void append_session(const std::filesystem::path& run, const Session& session);

// In their order; none where the run has no such file. Lines that are no record are left out.
std::vector<Session> read_sessions(const std::filesystem::path& run);

}  // namespace galvan
