// Runs the built command as a person would.
#pragma once

#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <iterator>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include <nlohmann/json.hpp>

#include "core/check.h"
#include "models/files.h"
#include "tests/models/recorded.h"
#include "tests/models/temporary_directory.h"

namespace galvan {

// The command under test: GALVAN_COMMAND in the environment, such as another build's, or this build's.
inline const char* command_under_test() {
  const char* const given = std::getenv("GALVAN_COMMAND");
  return given == nullptr ? GALVAN_COMMAND : given;
}

struct Finished {
  int code = 0;  // the exit code, or minus the signal that ended it
  std::string out, err;
  std::string
      no_card;  // of a build with CUDA where no card is: the line, before what else is in `err`, that says so
};

// A `galvan` that runs in a folder, its output going to files there. The new process calls `prepare`, which
// may not allocate, before it becomes the command.
class Child {
 public:
  Child(
      const std::filesystem::path& folder, const std::vector<std::string>& arguments,
      const std::function<bool()>& prepare = [] { return true; })
      : out_(folder / "stdout"), err_(folder / "stderr") {
    std::vector<char*> argv = {const_cast<char*>("galvan")};
    for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
    argv.push_back(nullptr);
    const std::string in = folder.string(), out = out_.string(), err = err_.string();
    pid_ = ::fork();
    check(pid_ >= 0, "cannot fork");
    if (pid_ > 0) return;
    const bool ready =
        ::chdir(in.c_str()) == 0 && redirect(out, STDOUT_FILENO) && redirect(err, STDERR_FILENO) && prepare();
    if (ready) ::execv(command_under_test(), argv.data());
    ::_exit(99);
  }
  ~Child() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  pid_t pid() const { return pid_; }
  void send(int signal) const { ::kill(pid_, signal); }
  // The processes that it has started.
  std::vector<pid_t> children() const {
    std::ifstream list(concat("/proc/", pid_, "/task/", pid_, "/children"));
    return {std::istream_iterator<pid_t>(list), {}};
  }

  bool running() const {
    siginfo_t info{};
    return ::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
           info.si_pid == 0;
  }

  // Seconds that it has computed: grows only as it gets on, however busy the machine is.
  double processor_time() const {
    clockid_t clock;
    timespec time{};
    check(::clock_getcpuclockid(pid_, &clock) == 0 && ::clock_gettime(clock, &time) == 0, "no clock");
    return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
  }

  // Returns when the process stands still: no file changes until SIGCONT.
  void pause() const {
    send(SIGSTOP);
    ::waitpid(pid_, nullptr, WUNTRACED);
  }

  Finished wait() {
    int status = 0;
    ::waitpid(pid_, &status, 0);
    pid_ = 0;
    std::string err = read_text_file(err_), no_card;
    if (err.starts_with("No CUDA card is used: ")) {
      no_card = err.substr(0, err.find('\n') + 1);
      err.erase(0, no_card.size());
    }
    return {WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status), read_text_file(out_), err, no_card};
  }

 private:
  static bool redirect(const std::string& path, int to) {
    const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
    return file >= 0 && ::dup2(file, to) >= 0;
  }

  std::filesystem::path out_, err_;
  pid_t pid_ = 0;
};

// Returns when the condition holds. Throws when it still doesn't after a minute: something hangs.
template <class Condition>
void wait_until(const Condition& condition) {
  using namespace std::chrono;
  for (const auto start = steady_clock::now(); !condition(); std::this_thread::sleep_for(microseconds(300)))
    check(steady_clock::now() - start < minutes(1), "waited for a minute");
}

inline Finished galvan_command(const std::filesystem::path& folder,
                               const std::vector<std::string>& arguments) {
  return Child(folder, arguments).wait();
}

// A folder with a text to learn from, and how to train a model that takes no time.
struct Workplace {
  TemporaryDirectory directory;
  std::filesystem::path path = directory.path();

  Workplace() {
    std::string text;
    for (int i = 0; i < 60; ++i)
      text += "The cat " + std::to_string(i) + " sat on the mat; the dog, being " +
              std::to_string(7 * i % 13) + ", did not.\n";
    write_file_atomically(path / "text.txt", text);
  }

  Finished run(const std::vector<std::string>& arguments) const { return galvan_command(path, arguments); }

  static std::vector<std::string> train(const std::string& out, std::vector<std::string> more = {}) {
    std::vector<std::string> arguments = {
        "train",   "--data",  "text.txt", "--out",        out,         "--layers", "2",
        "--heads", "2",       "--width",  "32",           "--context", "16",       "--batch-size",
        "4",       "--steps", "12",       "--eval-every", "5"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  }

  bool has(const std::string& file) const {
    std::error_code ignored;
    return std::filesystem::exists(path / file, ignored);
  }
  std::string read(const std::string& file) const { return read_text_file(path / file); }

  std::vector<nlohmann::json> metrics(const std::string& run) const { return recorded_metrics(path / run); }

  // Updates that a run's metrics.jsonl tells of; 0 when there is none yet.
  int64_t steps_done(const std::string& run) const {
    if (!has(run + "/metrics.jsonl")) return 0;
    const std::string text = read(run + "/metrics.jsonl");
    const size_t end = text.rfind('\n'), begin = end == 0 ? end : text.rfind('\n', end - 1) + 1;
    return end == std::string::npos
               ? 0
               : nlohmann::json::parse(text.substr(begin, end - begin)).at("step").get<int64_t>();
  }
};

// Two runs that ended with the same bits, whatever interrupted them.
inline void check_equal_runs(const Workplace& place, const std::string& a, const std::string& b) {
  CHECK(place.metrics(a) == place.metrics(b));
  for (const char* file : {"current/model.safetensors", "current/optimizer.safetensors",
                           "current/training.json", "best/model.safetensors", "samples.txt"})
    CHECK_MESSAGE(place.read(a + "/" + file) == place.read(b + "/" + file), file);
}

}  // namespace galvan
