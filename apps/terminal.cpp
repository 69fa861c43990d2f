#include "apps/terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdlib>
#include <string_view>

namespace galvan {

bool stdout_is_terminal() { return ::isatty(STDOUT_FILENO) == 1; }

bool stdout_can_redraw() {
  const char* term = std::getenv("TERM");
  return stdout_is_terminal() && (term == nullptr || std::string_view(term) != "dumb");
}

bool stderr_is_terminal() { return ::isatty(STDERR_FILENO) == 1; }

int terminal_columns() {
  winsize size{};
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
  return 80;
}

bool terminal_has_utf8() {
  for (const char* variable : {"LC_ALL", "LC_CTYPE", "LANG"}) {
    const char* value = std::getenv(variable);
    if (value == nullptr || *value == '\0') continue;
    const std::string_view locale = value;
    for (const char* utf8 : {"UTF-8", "utf8", "UTF8", "utf-8"})
      if (locale.find(utf8) != std::string_view::npos) return true;
    return false;
  }
  return false;
}

}  // namespace galvan
