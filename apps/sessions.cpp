#include "apps/sessions.h"

#include <sys/utsname.h>

#include <ctime>
#include <nlohmann/json.hpp>
#include <sstream>

#include "apps/machine.h"
#include "apps/text_format.h"
#include "core/check.h"
#include "models/files.h"

namespace galvan {
namespace {

std::string system_name() {
  utsname name{};
  ::uname(&name);
  return concat(name.sysname, " ", name.release, ", ", name.machine);
}

std::string time_text() {
  const std::time_t time = std::time(nullptr);
  char text[40];
  std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S UTC", std::gmtime(&time));
  return text;
}

}  // namespace

std::string typed_command() {
  const std::string text = read_text_file("/proc/self/cmdline");  // each argument ends with a zero
  std::string command;
  for (size_t begin = 0, end; begin < text.size(); begin = end + 1) {
    end = std::min(text.find('\0', begin), text.size());
    command += (command.empty() ? "" : " ") + shell_quoted(text.substr(begin, end - begin));
  }
  return command;
}

Session this_session(int64_t step, const std::string& command) {
  std::error_code ignored;
  return {.step = step,
          .facts = {{"command", command},
                    {"folder", std::filesystem::current_path(ignored).string()},
                    {"started", time_text()},
                    {"galvan", GALVAN_VERSION},
                    {"commit", commit()},
                    {"build", GALVAN_BUILD},
                    {"compiler", compiler_name()},
                    {"system", system_name()},
                    {"processor", processor_name()},
                    {"memory", byte_size(static_cast<double>(physical_memory()))}}};
}

void append_session(const std::filesystem::path& run, const Session& session) {
  nlohmann::ordered_json record = {{"step", session.step}};
  for (const auto& [name, value] : session.facts) record[name] = value;
  const std::string line = record.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
  append_to_file(run / "sessions.jsonl", line);
}

std::vector<Session> read_sessions(const std::filesystem::path& run) {
  std::vector<Session> sessions;
  std::error_code ignored;
  if (!std::filesystem::exists(run / "sessions.jsonl", ignored)) return sessions;
  std::istringstream lines(read_text_file(run / "sessions.jsonl"));
  for (std::string line; std::getline(lines, line);) {
    const auto record = nlohmann::ordered_json::parse(line, nullptr, false);
    if (!record.is_object()) continue;
    Session session;
    for (const auto& [name, value] : record.items()) {
      if (name == "step" && value.is_number_integer())
        session.step = value.get<int64_t>();
      else if (value.is_string())
        session.facts.emplace_back(name, value.get<std::string>());
    }
    sessions.push_back(std::move(session));
  }
  return sessions;
}

}  // namespace galvan
