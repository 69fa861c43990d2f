#include "apps/replica_process.h"

#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "apps/child_process.h"
#include "core/check.h"

namespace galvan {

ReplicaProcess::ReplicaProcess(const StudyStore& store, const std::string& device, int64_t threads,
                               int64_t places) {
  int ends[2];
  const bool paired = ::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0;
  check(paired, "cannot make a socket: ", std::strerror(errno));
  socket_ = ends[0];
  try {
    pid_ = start_galvan({"replicas", "--device", device, "--threads", std::to_string(threads), "--places",
                         std::to_string(places)},
                        store.directory(),
                        {.out = "/dev/null",
                         .err = std::filesystem::absolute(store.folder() / "replicas.txt"),
                         .in = ends[1]});
  } catch (...) {
    ::close(ends[0]);
    ::close(ends[1]);
    throw;
  }
  ::close(ends[1]);
}

ReplicaProcess::~ReplicaProcess() {
  ::close(socket_);
  if (status_) return;
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
}

void ReplicaProcess::send(const std::string& order) {
  for (size_t sent = 0; sent < order.size();) {
    const ssize_t n = ::send(socket_, order.data() + sent, order.size() - sent, MSG_NOSIGNAL);
    if (n < 0 && errno != EINTR) return;  // it has ended, which poll() sees
    sent += n < 0 ? 0 : static_cast<size_t>(n);
  }
}

void ReplicaProcess::begin(const std::string& folder) {
  check(folder.find('\n') == std::string::npos, "--batched takes no line break in a folder's name: ", folder);
  codes_.erase(folder);
  running_.insert(folder);
  send("begin " + folder + "\n");
}

void ReplicaProcess::stop(const std::string& folder) { send("stop " + folder + "\n"); }

void ReplicaProcess::poll() {
  if (status_) return;
  int status = 0;
  const bool ended = ::waitpid(pid_, &status, WNOHANG) == pid_;
  read_answers();  // all of them, if it has
  if (ended) status_ = status;
}

// "ended CODE FOLDER"
void ReplicaProcess::read_answers() {
  char buffer[4096];
  for (ssize_t n = 0; (n = ::recv(socket_, buffer, sizeof buffer, MSG_DONTWAIT)) > 0;)
    received_.append(buffer, static_cast<size_t>(n));
  for (size_t end = 0; (end = received_.find('\n')) != std::string::npos; received_.erase(0, end + 1)) {
    int code = 0, length = 0;
    const std::string answer = received_.substr(0, end);
    if (std::sscanf(answer.c_str(), "ended %d %n", &code, &length) != 1 || length == 0) continue;
    const std::string folder = answer.substr(static_cast<size_t>(length));
    codes_[folder] = code;
    running_.erase(folder);
  }
}

std::optional<int> ReplicaProcess::code(const std::string& folder) const {
  const auto found = codes_.find(folder);
  return found == codes_.end() ? std::nullopt : std::optional<int>(found->second);
}

bool Replica::has_ended() {
  process_->poll();
  return process_->code(folder_.string()) || process_->has_ended();
}

TrialRun::Ending Replica::ending() const {
  if (!started_) return {.interrupted = true};
  if (const std::optional<int> code = process_->code(folder_.string())) return ending_of(*code);
  const int status = process_->status();
  Ending ending = WIFSIGNALED(status) ? ending_by_signal(WTERMSIG(status)) : ending_of(WEXITSTATUS(status));
  if (ending.finished) ending = {.reason = "its process ended before it"};
  ending.in_company = process_->unfinished() > 1;
  return ending;
}

}  // namespace galvan
