// Progress on a terminal, which is a pseudo-terminal here, and in a file.
#include <doctest/doctest.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/resource.h>

#include <optional>
#include <regex>

#include "tests/apps/command.h"

using namespace galvan;

namespace {

// A chroot may be without.
bool has_pseudo_terminals() {
  const int master = ::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (master >= 0) ::close(master);
  return master >= 0;
}
const auto kNeedsTerminal = doctest::skip(!has_pseudo_terminals());

// A terminal of this many columns, with a command on it that has no other input or output.
class Terminal {
 public:
  Terminal(const Workplace& place, const std::vector<std::string>& arguments, unsigned short columns,
           rlim_t largest_file = RLIM_INFINITY)
      : master_(::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC)) {
    check(master_ >= 0 && ::grantpt(master_) == 0 && ::unlockpt(master_) == 0, "no pseudo-terminal");
    const std::string name = ::ptsname(master_);
    const winsize size{.ws_row = 24, .ws_col = columns, .ws_xpixel = 0, .ws_ypixel = 0};
    child_.emplace(place.path, arguments, [=] {
      const rlimit limit{largest_file, largest_file};
      const int slave = ::setsid() < 0 ? -1 : ::open(name.c_str(), O_RDWR);  // becomes the session's terminal
      return ::setrlimit(RLIMIT_FSIZE, &limit) == 0 && slave >= 0 && ::ioctl(slave, TIOCSWINSZ, &size) == 0 &&
             ::dup2(slave, STDIN_FILENO) >= 0 && ::dup2(slave, STDOUT_FILENO) >= 0 &&
             ::dup2(slave, STDERR_FILENO) >= 0;
    });
  }
  ~Terminal() { ::close(master_); }
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;

  void type(char key) { CHECK(::write(master_, &key, 1) == 1); }

  // Reads until the text has come, or with "" until the command has ended.
  void read_until(const std::string& text) {
    char piece[512];
    while (text.empty() || written_.find(text) == std::string::npos) {
      const ssize_t n = ::read(master_, piece, sizeof piece);
      if (n <= 0) break;  // EIO: nobody has it open any more
      written_.append(piece, static_cast<size_t>(n));
    }
  }

  int end() {
    read_until("");
    return child_->wait().code;
  }

  const std::string& written() const { return written_; }

  // What stands on the screen, line by line. Fails on anything but text, "\r", "\n" and "clear to the end of the line".
  std::vector<std::string> screen() const {
    std::vector<std::string> lines(1);
    size_t column = 0;
    for (size_t i = 0; i < written_.size(); ++i) {
      if (written_[i] == '\r') {
        column = 0;
      } else if (written_[i] == '\n') {
        lines.emplace_back();
      } else if (written_.compare(i, 3, "\x1b[K") == 0) {
        lines.back().resize(std::min(column, lines.back().size()));
        i += 2;
      } else {
        if (written_[i] < ' ') FAIL_CHECK("control character " << int{written_[i]});
        lines.back().resize(std::max(lines.back().size(), column + 1));
        lines.back()[column++] = written_[i];
      }
    }
    return lines;
  }

 private:
  int master_;
  std::optional<Child> child_;
  std::string written_;
};

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

// How many of the lines match the whole expression.
int64_t count(const std::vector<std::string>& lines, const std::string& expression) {
  const std::regex regex(expression);
  return std::count_if(lines.begin(), lines.end(),
                       [&](const std::string& line) { return std::regex_match(line, regex); });
}

const std::string kLine =
    "step \\d+/12  loss \\d\\.\\d{4}  lr \\d\\.\\d\\de-\\d\\d  momentum 0\\.9  [\\d,]+ tokens/s  \\d+ % of "
    "peak  \\d+:\\d\\d left";

}  // namespace

TEST_CASE("on a terminal one line is redrawn, and messages stand above it" * kNeedsTerminal) {
  const Workplace place;
  Terminal terminal(place, Workplace::train("run"), 120);
  CHECK(terminal.end() == 0);
  CHECK(terminal.written().find("\rstep 1/12  loss ") != std::string::npos);
  CHECK(terminal.written().find("\rstep 12/12  loss ") != std::string::npos);
  const std::vector<std::string> lines = terminal.screen();
  CHECK(count(lines, "step \\d+/12 .*") == 0);  // each was cleared by the message after it
  CHECK(count(lines, "step 5: validation loss [^\x1b]* bits per character(, the best so far)?") == 1);
  CHECK(count(lines, "step 12: validation loss .* bits per character(, the best so far)?") == 1);
  CHECK(count(lines, "saved run/checkpoints/12") == 1);
  CHECK(count(lines, "Finished after 12 steps\\. Best validation loss: .*") == 1);
  CHECK(lines.back() == "");
}

TEST_CASE("the line fits the terminal" * kNeedsTerminal) {
  const Workplace place;
  for (const auto& [columns, last] : {std::pair{31, "loss \\d\\.\\d{4}"}, std::pair{200, "\\d+:\\d\\d left"},
                                      std::pair{12, "step \\d+/12"}}) {
    Terminal terminal(place, Workplace::train("run" + std::to_string(columns)),
                      static_cast<unsigned short>(columns));
    CHECK(terminal.end() == 0);
    const std::regex drawn("\r(step [^\r\n\x1b]*)\x1b\\[K");
    int64_t redrawn = 0;
    for (std::sregex_iterator at(terminal.written().begin(), terminal.written().end(), drawn), end; at != end;
         ++at, ++redrawn) {
      const std::string line = (*at)[1];
      CHECK(line.size() < static_cast<size_t>(columns));
      CHECK_MESSAGE(std::regex_search(line, std::regex(std::string(last) + "$")), line);
    }
    CHECK(redrawn >= 2);
  }
}

TEST_CASE("a terminal that cannot clear a line gets whole lines" * kNeedsTerminal) {
  const Workplace place;
  const char* term = std::getenv("TERM");
  const std::string before = term == nullptr ? "" : term;
  ::setenv("TERM", "dumb", 1);
  Terminal terminal(place, Workplace::train("run"), 120);
  term == nullptr ? ::unsetenv("TERM") : ::setenv("TERM", before.c_str(), 1);
  CHECK(terminal.end() == 0);
  CHECK(terminal.written().find('\x1b') == std::string::npos);
  CHECK(terminal.written().find("\nstep 12/12  loss ") != std::string::npos);
}

TEST_CASE("in a file every line is whole") {
  const Workplace place;
  const Finished result = place.run(Workplace::train("run"));
  CHECK(result.out.find_first_of("\r\x1b") == std::string::npos);
  CHECK(result.out.ends_with("\n"));
  const std::vector<std::string> lines = lines_of(result.out);
  CHECK(count(lines, "step 1/12 .*") == 1);
  CHECK(count(lines, "step 12/12 .*") == 1);
  CHECK(count(lines, "step \\d+/12 .*") == count(lines, kLine));
}

TEST_CASE("Ctrl-C on the keyboard saves" * kNeedsTerminal) {
  const Workplace place;
  Terminal terminal(place, Workplace::train("run", {"--steps", "1000000", "--eval-every", "0"}), 100);
  terminal.read_until("\rstep 1/");
  terminal.type('\x03');
  CHECK(terminal.end() == 130);
  const std::vector<std::string> lines = terminal.screen();
  CHECK(count(lines, "Stopped after step [\\d,]+\\. This goes on:") == 1);
  CHECK(count(lines, "  galvan train --out run --resume") == 1);
  CHECK(place.has("run/current/training.json"));
}

TEST_CASE("an error has a line of its own, below the progress" * kNeedsTerminal) {
  const Workplace place;
  Terminal terminal(place, Workplace::train("run", {"--save-every", "1"}), 200, 50000);
  CHECK(terminal.end() == 1);
  const std::vector<std::string> lines = terminal.screen();
  REQUIRE(lines.size() >= 3);
  CHECK(count({lines[lines.size() - 3]}, kLine) == 1);
  CHECK(lines[lines.size() - 2] ==
        "galvan: cannot write run/checkpoints/.1.partial/model.safetensors: File too large");
  CHECK(lines.back() == "");
}
