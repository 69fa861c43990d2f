// `galvan replicas`: trains runs together in one process, which `galvan tune --batched` starts, begins and stops:
//
//   begin FOLDER         begins the run whose options are in FOLDER/options.toml, or goes on with the one there
//   stop FOLDER          asks it to save and end
//   ended CODE FOLDER    the answer, by what `galvan train` would have ended with: 0, 143 when stopped, else 1, and the
//                        reason is in FOLDER/errors.txt
//
// Lines on standard input, a socket that takes the answers too. When it is closed, or at SIGTERM, all runs save and end.
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <mutex>

#include "apps/command.h"
#include "apps/device.h"
#include "apps/interrupt.h"
#include "apps/text_format.h"
#include "apps/training_run.h"
#include "apps/trial_process.h"
#include "core/parallel.h"
#include "models/files.h"
#include "models/replicas.h"

namespace galvan {
namespace {

constexpr int kWait = 500;  // milliseconds, where nothing is to be done

class ReplicasCommand : public Command {
 public:
  const char* name() const override { return "replicas"; }
  const char* about() const override { return ""; }
  const char* examples() const override { return ""; }

  void add_options(Settings& settings) override {
    settings.add("device", &device_, kDeviceHelp, {.choices = {"auto", "cpu", "cuda"}});
    settings.add("threads", &threads_, "threads of computation", {.least = 1, .most = 1024});
    settings.add("places", &places_, "runs at a time, on a card", {.least = 1, .most = 1024});
  }

  int run(Settings&) override {
    if (threads_) set_threads(static_cast<int>(*threads_));
    const Interrupt interrupt;
    Replicas replicas(choose_device(device_), places_);
    const auto watch = [&](int wait) {
      read_orders(replicas, wait);
      if (closed_ || interrupt.requested())
        for (const auto& [folder, run] : runs_) run->stop = true;
    };
    while (!closed_ && !interrupt.requested()) {
      watch(kWait);
      replicas.run([&] { watch(0); });
    }
    return 0;
  }

 private:
  struct Run {
    std::unique_ptr<TrainingRun> training;
    std::atomic<bool> stop = false;
  };

  void read_orders(Replicas& replicas, int wait) {
    for (pollfd input{.fd = STDIN_FILENO, .events = POLLIN, .revents = 0};
         !closed_ && ::poll(&input, 1, wait) > 0; wait = 0) {
      char buffer[4096];
      const ssize_t n = ::read(STDIN_FILENO, buffer, sizeof buffer);
      if (n < 0 && errno == EINTR) continue;
      closed_ = n <= 0;
      received_.append(buffer, static_cast<size_t>(std::max<ssize_t>(n, 0)));
      for (size_t end = 0; (end = received_.find('\n')) != std::string::npos; received_.erase(0, end + 1))
        obey(received_.substr(0, end), replicas);
    }
  }

  void obey(const std::string& order, Replicas& replicas) {
    const size_t space = order.find(' ');
    const std::string verb = order.substr(0, space), folder = order.substr(space + 1);
    if (verb == "begin") {
      const auto run = std::make_shared<Run>();
      runs_[folder] = run;
      replicas.add([run, folder] { return !step(*run, folder); });
    } else if (const auto found = runs_.find(folder); found != runs_.end()) {
      found->second->stop = true;
    }
  }

  // Has the run ended? What goes wrong in it ends it alone.
  static bool step(Run& run, const std::string& folder) {
    std::optional<int> code;
    std::string message;
    try {
      code = run.training ? advance(run) : begin(run, folder);
    } catch (const std::bad_alloc&) {
      message = "out of memory";
    } catch (const std::exception& error) {
      message = error.what();
    }
    if (!message.empty()) {
      std::replace(message.begin(), message.end(), '\n', ' ');
      code = 1;
      try {
        write_file_atomically(std::filesystem::path(folder) / "errors.txt", message + "\n");
      } catch (const std::exception&) {  // then the study has to do without the reason
      }
    }
    if (!code) return false;
    run.training.reset();  // its memory and its lock on the folder are free before the study hears of it
    answer(concat("ended ", *code, " ", folder, "\n"));
    return true;
  }

  // The exit code, where there is nothing to do.
  static std::optional<int> begin(Run& run, const std::string& folder) {
    run.training = make_training_run();
    run.training->lock(folder);
    // Another process takes up the trials of a study's that is gone, where it finds nobody at them: from here on it does.
    if (run.stop || study_is_gone()) return 128 + SIGTERM;
    Settings settings;
    run.training->add_options(settings);
    std::vector<std::string> arguments = trial_arguments(folder, galvan::threads());
    std::string command = "galvan";
    for (const std::string& argument : arguments) command += " " + shell_quoted(argument);
    arguments.erase(arguments.begin());  // the command's name
    settings.parse_arguments(std::move(arguments));
    return run.training->begin(settings, command) ? std::nullopt : std::optional<int>(0);
  }

  static bool study_is_gone() {
    pollfd input{.fd = STDIN_FILENO, .events = 0, .revents = 0};
    return ::poll(&input, 1, 0) > 0 && (input.revents & POLLHUP) != 0;
  }

  static std::optional<int> advance(Run& run) {
    const std::optional<Ending> ending = run.training->advance(run.stop);
    if (!ending) return {};
    return *ending == Ending::stopped ? 128 + SIGTERM : 0;
  }

  static void answer(const std::string& line) {
    static std::mutex mutex;  // one line at a time
    const std::lock_guard lock(mutex);
    for (size_t sent = 0; sent < line.size();) {
      const ssize_t n = ::send(STDIN_FILENO, line.data() + sent, line.size() - sent, MSG_NOSIGNAL);
      if (n < 0 && errno != EINTR) return;  // nobody listens any more
      sent += n < 0 ? 0 : static_cast<size_t>(n);
    }
  }

  std::string device_ = "auto";
  std::optional<int64_t> threads_;
  int64_t places_ = 32;
  std::map<std::string, std::shared_ptr<Run>> runs_;  // by folder, those that have ended too
  std::string received_;                              // of an order that is not whole yet
  bool closed_ = false;                               // no more orders come
};

}  // namespace

std::unique_ptr<Command> make_replicas_command() { return std::make_unique<ReplicasCommand>(); }

}  // namespace galvan
