#include "apps/interrupt.h"

#include <signal.h>
#include <unistd.h>

namespace galvan {
namespace {

std::atomic<bool> stop = false;
std::atomic<int> signal_number = 0;
static_assert(std::atomic<bool>::is_always_lock_free && std::atomic<int>::is_always_lock_free,
              "a signal handler may touch nothing else");

void handle(int number) {
  if (stop.exchange(true)) ::_exit(128 + number);
  signal_number = number;
}

void on_signals(void (*handler)(int)) {
  struct sigaction action {};
  action.sa_handler = handler;
  action.sa_flags = SA_RESTART;
  ::sigemptyset(&action.sa_mask);
  ::sigaction(SIGINT, &action, nullptr);
  ::sigaction(SIGTERM, &action, nullptr);
}

}  // namespace

Interrupt::Interrupt() {
  stop = false;
  on_signals(handle);
}

Interrupt::~Interrupt() { on_signals(SIG_DFL); }

const std::atomic<bool>& Interrupt::requested() const { return stop; }

int Interrupt::exit_code() const { return 128 + signal_number; }

}  // namespace galvan
