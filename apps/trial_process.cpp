#include "apps/trial_process.h"

#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <regex>

#include "apps/child_process.h"
#include "apps/run_folder.h"
#include "core/check.h"
#include "models/files.h"

namespace galvan {
namespace {

namespace fs = std::filesystem;

bool is_at_work(const fs::path& run) {
  try {
    const RunLock lock(run);
    return false;
  } catch (const Error&) {
    return true;
  }
}

// The last line that is not empty.
std::string last_line(const fs::path& path) {
  std::error_code ignored;
  if (!fs::exists(path, ignored)) return "";
  std::ifstream in(path);
  std::string last;
  for (std::string line; std::getline(in, line);)
    if (!line.empty()) last = line;
  return last;
}

}  // namespace

void MetricsTail::clear() {
  reports_.clear();
  offset_ = step_ = 0;
  loss_ = seconds_ = tokens_per_second_ = 0;
  read_ = {};
}

void MetricsTail::poll() {
  struct stat info {};
  if (::stat(path_.c_str(), &info) != 0) return;
  if (info.st_ino != file_ || info.st_size < offset_) clear();
  file_ = info.st_ino;
  if (info.st_size == offset_) return;
  double tokens = 0;
  std::ifstream in(path_);
  in.seekg(offset_);
  for (std::string line;
       std::getline(in, line) && !in.eof();) {  // a line without its end is still being written
    offset_ += static_cast<int64_t>(line.size()) + 1;
    const auto record = nlohmann::json::parse(line, nullptr, false);
    if (!record.is_object()) continue;
    const auto number = [&](const char* key, double otherwise = 0) {
      const auto found = record.find(key);
      return found != record.end() && found->is_number() ? found->get<double>() : otherwise;
    };
    step_ = static_cast<int64_t>(number("step"));
    if (record.contains("eval_loss")) {
      constexpr double kNan = std::numeric_limits<double>::quiet_NaN();  // null, in a record
      reports_.push_back({step_, number("eval_loss", kNan), number("eval_accuracy", kNan), seconds_});
    } else if (record.contains("loss")) {
      loss_ = number("loss");
      seconds_ += number("seconds");
      tokens += number("tokens");
    }
  }
  if (tokens == 0) return;
  // By this clock: a step's own seconds leave out how long a replica waits for its turn.
  const auto now = Clock::now();
  if (read_ != Clock::time_point()) {
    const double rate = tokens / std::chrono::duration<double>(now - read_).count();
    tokens_per_second_ = tokens_per_second_ == 0 ? rate : 0.9 * tokens_per_second_ + 0.1 * rate;
  }
  read_ = now;
}

TrialRun::TrialRun(const StudyTrial& trial, const StudyStore& store)
    : trial_(trial),
      folder_(fs::absolute(store.run_folder(trial.number))),
      directory_(store.directory()),
      options_(store.study().options(trial.point)),
      metrics_(folder_ / "metrics.jsonl") {
  make_directories(folder_);
}

void TrialRun::stop() {
  if (!stopping_ && started_) request_stop();
  stopping_ = true;
}

bool TrialRun::poll() {
  if (!started_) {
    if (stopping_) return true;
    if (is_at_work(folder_)) return false;
    std::error_code ignored;
    if (!fs::exists(folder_ / "config.toml", ignored))
      write_file_atomically(folder_ / "options.toml", options_);
    started_ = true;
    start();
  }
  return has_ended();
}

TrialRun::Ending TrialRun::ending_by_signal(int signal) {
  // Before the run catches it, a request to stop ends the process at once.
  if (signal == SIGTERM || signal == SIGINT) return {.interrupted = true};
  return {.reason = concat("killed by signal ", signal, " (", ::strsignal(signal), ")",
                           signal == SIGKILL ? ", as the system does when memory runs out" : "")};
}

TrialRun::Ending TrialRun::ending_of(int code) const {
  if (code == 0) return {.finished = true};
  if (code == 128 + SIGTERM || code == 128 + SIGINT) return {.interrupted = true};
  if (code == 127) return {.reason = concat("the process did not start in ", folder_.string())};
  std::string reason = last_line(folder_ / "errors.txt");
  if (reason.starts_with("galvan: ")) reason = reason.substr(8);
  static const std::regex not_finite("step \\d+: the loss is .*");
  return {.reason = reason.empty() ? concat("ended with code ", code) : reason,
          .diverged = std::regex_match(reason, not_finite)};
}

std::vector<std::string> trial_arguments(const fs::path& folder, int64_t threads) {
  std::vector<std::string> arguments = {"train", "--out", folder.string(), "--threads",
                                        std::to_string(threads)};
  std::error_code ignored;
  if (fs::exists(folder / "config.toml", ignored)) {
    arguments.push_back("--resume");
  } else {
    arguments.push_back("--config");
    arguments.push_back((folder / "options.toml").string());
  }
  return arguments;
}

TrialProcess::~TrialProcess() {
  if (pid_ <= 0) return;
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
}

void TrialProcess::start() {
  pid_ = start_galvan(trial_arguments(folder_, threads_), directory_,
                      {.out = folder_ / "output.txt", .err = folder_ / "errors.txt"});
}

void TrialProcess::request_stop() {
  if (pid_ > 0) ::kill(pid_, SIGTERM);
}

bool TrialProcess::has_ended() {
  if (pid_ <= 0) return true;
  const pid_t ended = ::waitpid(pid_, &status_, WNOHANG);
  check(ended >= 0 || errno == EINTR, "cannot wait for a trial: ", std::strerror(errno));
  if (ended != pid_) return false;
  pid_ = 0;
  return true;
}

TrialRun::Ending TrialProcess::ending() const {
  if (!started_) return {.interrupted = true};
  return WIFSIGNALED(status_) ? ending_by_signal(WTERMSIG(status_)) : ending_of(WEXITSTATUS(status_));
}

}  // namespace galvan
