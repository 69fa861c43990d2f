#include "apps/child_process.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "core/check.h"

namespace galvan {
namespace {

bool redirect(const char* path, int flags, int to) {
  const int file = ::open(path, O_WRONLY | O_CREAT | flags, 0666);
  return file >= 0 && ::dup2(file, to) >= 0;
}

}  // namespace

pid_t start_galvan(std::vector<std::string> arguments, const std::filesystem::path& directory,
                   const ChildFiles& files) {
  arguments.insert(arguments.begin(), "galvan");
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  const std::string folder = directory.string(), out = files.out.string(), err = files.err.string(),
                    program = files.program.string();
  const pid_t parent = ::getpid();
  const pid_t child = ::fork();
  check(child >= 0, "cannot start a process: ", std::strerror(errno));
  if (child > 0) return child;
  // In the new process, which may not allocate.
  ::setpgid(0, 0);
  ::prctl(PR_SET_PDEATHSIG, SIGTERM);
  const bool ready = ::getppid() == parent && (files.in < 0 || ::dup2(files.in, STDIN_FILENO) >= 0) &&
                     redirect(out.c_str(), O_APPEND, STDOUT_FILENO) &&
                     redirect(err.c_str(), O_TRUNC, STDERR_FILENO) && ::chdir(folder.c_str()) == 0;
  if (ready) ::execv(program.c_str(), argv.data());
  ::_exit(127);
}

}  // namespace galvan
