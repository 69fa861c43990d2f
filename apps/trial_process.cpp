#include "apps/trial_process.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <regex>

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

bool redirect(const char* path, int flags, int to) {
  const int file = ::open(path, O_WRONLY | O_CREAT | flags, 0666);
  return file >= 0 && ::dup2(file, to) >= 0;
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
}

void MetricsTail::poll() {
  struct stat info {};
  if (::stat(path_.c_str(), &info) != 0) return;
  if (info.st_ino != file_ || info.st_size < offset_) clear();
  file_ = info.st_ino;
  if (info.st_size == offset_) return;
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
      const double seconds = number("seconds");
      seconds_ += seconds;
      const double rate = seconds > 0 ? number("tokens") / seconds : 0;
      tokens_per_second_ = tokens_per_second_ == 0 ? rate : 0.9 * tokens_per_second_ + 0.1 * rate;
    }
  }
}

TrialProcess::TrialProcess(const StudyTrial& trial, const StudyStore& store, int64_t threads)
    : trial_(trial),
      folder_(fs::absolute(store.run_folder(trial.number))),
      directory_(store.directory()),
      options_(store.study().options(trial.point)),
      threads_(threads),
      metrics_(folder_ / "metrics.jsonl") {
  make_directories(folder_);
}

void TrialProcess::start() {
  started_ = true;
  std::error_code ignored;
  const bool begun = fs::exists(folder_ / "config.toml", ignored);
  if (!begun) write_file_atomically(folder_ / "options.toml", options_);
  std::vector<std::string> arguments = {"galvan",         "train",     "--out",
                                        folder_.string(), "--threads", std::to_string(threads_)};
  if (begun) {
    arguments.push_back("--resume");
  } else {
    arguments.push_back("--config");
    arguments.push_back((folder_ / "options.toml").string());
  }
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  const std::string out = (folder_ / "output.txt").string(), err = (folder_ / "errors.txt").string();
  const std::string directory = directory_.string();
  const pid_t parent = ::getpid();
  pid_ = ::fork();
  check(pid_ >= 0, "cannot start a process: ", std::strerror(errno));
  if (pid_ > 0) return;
  // In the new process, which may not allocate. Ctrl-C is for the study, which asks its trials to stop; when it is gone,
  // they are asked by the kernel.
  ::setpgid(0, 0);
  ::prctl(PR_SET_PDEATHSIG, SIGTERM);
  const bool ready = ::getppid() == parent && redirect(out.c_str(), O_APPEND, STDOUT_FILENO) &&
                     redirect(err.c_str(), O_TRUNC, STDERR_FILENO) && ::chdir(directory.c_str()) == 0;
  if (ready) ::execv("/proc/self/exe", argv.data());
  ::_exit(127);
}

TrialProcess::~TrialProcess() {
  if (pid_ <= 0) return;
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
}

void TrialProcess::stop() {
  if (!stopping_ && pid_ > 0) ::kill(pid_, SIGTERM);
  stopping_ = true;
}

bool TrialProcess::poll() {
  if (!started_) {
    if (stopping_) return true;
    if (is_at_work(folder_)) return false;
    start();
  }
  if (pid_ <= 0) return true;
  const pid_t ended = ::waitpid(pid_, &status_, WNOHANG);
  check(ended >= 0 || errno == EINTR, "cannot wait for a trial: ", std::strerror(errno));
  if (ended != pid_) return false;
  pid_ = 0;
  return true;
}

TrialProcess::Ending TrialProcess::ending() const {
  if (!started_) return {.interrupted = true};
  if (WIFSIGNALED(status_)) {
    const int signal = WTERMSIG(status_);
    // Before the run catches it, a request to stop ends the process at once.
    if (signal == SIGTERM || signal == SIGINT) return {.interrupted = true};
    return {.reason = concat("killed by signal ", signal, " (", ::strsignal(signal), ")",
                             signal == SIGKILL ? ", as the system does when memory runs out" : "")};
  }
  const int code = WEXITSTATUS(status_);
  if (code == 0) return {.finished = true};
  if (code == 128 + SIGTERM || code == 128 + SIGINT) return {.interrupted = true};
  if (code == 127) return {.reason = concat("the process did not start in ", folder_.string())};
  std::string reason = last_line(folder_ / "errors.txt");
  if (reason.starts_with("galvan: ")) reason = reason.substr(8);
  static const std::regex not_finite("step \\d+: the loss is .*");
  return {.reason = reason.empty() ? concat("ended with code ", code) : reason,
          .diverged = std::regex_match(reason, not_finite)};
}

}  // namespace galvan
