#include "apps/bench/turns.h"

#include <signal.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <iostream>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <thread>

#include "apps/bench/card.h"
#include "apps/child_process.h"
#include "core/check.h"

namespace galvan {
namespace {

// A time is the fastest of so many looks, each of so many seconds at least.
constexpr int kLooks = 6, kLooksOfLong = 3;
constexpr double kLook = 4e-4, kLong = 5e-3;
// Longer than a thread stays awake that has nothing to do (core/parallel.cpp): the other process's threads are asleep.
constexpr auto kQuiet = std::chrono::milliseconds(3);

double fastest_on_cpu(const Subject& subject, int64_t calls) {
  std::this_thread::sleep_for(kQuiet);
  const bool is_long = time_of(subject, 1) > kLong;  // which wakes the threads and fills the caches
  double best = time_of(subject, calls);
  for (int i = 1; i < (is_long ? kLooksOfLong : kLooks); ++i) best = std::min(best, time_of(subject, calls));
  return best;
}

std::string in_one_line(std::string text) {
  for (char& c : text)
    if (c == '\n') c = ' ';
  return text;
}

}  // namespace

void serve_turns(const BenchOptions& options, Device device) {
  struct Place {
    size_t group, technique;
  };
  const std::string where = device.is_cpu() ? "cpu" : "cuda";
  const std::vector<BenchGroup> groups = bench_groups(options, where);
  const Sizes sizes = parse_sizes(options.shape);
  std::vector<Place> places;
  for (size_t g = 0; g < groups.size(); ++g)
    for (size_t t = 0; t < groups[g].techniques.size(); ++t) places.push_back({g, t});
  const auto ready = [&](size_t i, bool checked) {
    BenchGroup one = groups[places[i].group];
    one.techniques = {one.techniques[places[i].technique]};
    return std::move((checked ? make_ready : make_ready_again)(one, sizes, options.dtype, device)[0]);
  };
  const auto answer = [](const std::string& line) {
    check(::dprintf(STDIN_FILENO, "%s\n", line.c_str()) > 0, "bench: nobody takes the answers");
  };

  std::optional<Subject> subject;
  int64_t calls = 1;
  for (std::string line; std::getline(std::cin, line);) {
    if (line == "rows") {
      answer(std::to_string(places.size()));
      for (const Place& place : places) {
        const BenchGroup& group = groups[place.group];
        const Technique& technique = group.techniques[place.technique];
        answer(key_of({.kernel = group.kernel.name,
                       .technique = technique.name,
                       .role = technique.role,
                       .pass = name(group.pass),
                       .device = where,
                       .shape = shape_text(group.kernel.bench(sizes))}));
      }
      continue;
    }
    const size_t i = std::stoul(line.substr(line.find(' ') + 1));
    if (!line.starts_with("time")) {
      subject.reset();
      subject = ready(i, line.starts_with("check"));
      const BenchRow& row = subject->row;
      if (row.failure.empty() && device.is_cpu()) calls = calls_in(*subject, kLook);
      answer(is_right(row)          ? "right"
             : !row.failure.empty() ? in_one_line(row.failure)
             : row.error > 1        ? "its error is " + std::to_string(row.error) + " of what rounding allows"
                                    : "it is not deterministic");
    } else {
      check(subject.has_value(), "bench: ", line, " before it is ready");
      char text[32];
      std::snprintf(text, sizeof text, "%.9g",
                    device.is_cpu() ? fastest_on_cpu(*subject, calls) : fastest_on_card(*subject, kLooks));
      answer(text);
    }
  }
}

namespace {

class Worker {
 public:
  Worker(const std::string& program, const std::vector<std::string>& arguments) : program_(program) {
    int ends[2];
    check(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0,
          "bench: cannot make a socket: ", std::strerror(errno));
    try {
      pid_ = start_galvan(arguments, std::filesystem::current_path(),
                          {.out = "/dev/null", .err = "/dev/null", .in = ends[1], .program = program});
    } catch (...) {
      ::close(ends[0]);
      ::close(ends[1]);
      throw;
    }
    ::close(ends[1]);
    socket_ = ends[0];
    wait_at_most(60);  // for the first answer: nothing has been computed for it
    for (int64_t left = std::stoll(ask("rows")); left > 0; --left) rows.push_back(line());
    wait_at_most(0);
  }
  ~Worker() {
    ::close(socket_);
    ::kill(pid_, SIGTERM);
    ::waitpid(pid_, nullptr, 0);
  }
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  std::string ask(const std::string& order) {
    const std::string text = order + "\n";
    if (::send(socket_, text.data(), text.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(text.size()))
      fall_silent();
    return line();
  }

  std::vector<std::string> rows;

 private:
  // 0: as long as it takes.
  void wait_at_most(int seconds) const {
    const timeval time{.tv_sec = seconds, .tv_usec = 0};
    ::setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &time, sizeof time);
  }

  [[noreturn]] void fall_silent() const {
    fail("bench: ", program_,
         " does not answer; is it a galvan whose `bench --against` takes turns row by row, and has it ",
         "the rows?");
  }

  std::string line() {
    for (;;) {
      if (const size_t end = received_.find('\n'); end != received_.npos) {
        std::string text = received_.substr(0, end);
        received_.erase(0, end + 1);
        return text;
      }
      char buffer[4096];
      const ssize_t n = ::recv(socket_, buffer, sizeof buffer, 0);
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) fall_silent();
      received_.append(buffer, static_cast<size_t>(n));
    }
  }

  std::string program_, received_;
  pid_t pid_ = 0;
  int socket_ = -1;
};

}  // namespace

int64_t usual_pairs(size_t rows, double alarm_rate) { return 2 * pairs_needed(rows, alarm_rate) + 24; }

Turns take_turns(const TurnsOptions& options, const std::function<void(int64_t done, int64_t of)>& on_pair) {
  struct Common {
    std::string key;
    size_t rows[2];  // its number in the old one and in the new one
    Times times = {};
    bool right = true;
  };
  std::vector<Common> common;
  Turns turns;
  const std::string* const programs[] = {&options.old_program, &options.new_program};
  for (int64_t pair = 0; pair == 0 || pair < turns.pairs; ++pair) {
    const size_t first = static_cast<size_t>(pair % 2), second = 1 - first;
    std::unique_ptr<Worker> workers[2];
    for (const size_t which : {first, second})
      workers[which] = std::make_unique<Worker>(*programs[which], options.arguments);
    if (pair == 0) {
      std::map<std::string, size_t> old_rows;
      for (size_t i = 0; i < workers[0]->rows.size(); ++i) old_rows[workers[0]->rows[i]] = i;
      for (size_t i = 0; i < workers[1]->rows.size(); ++i)
        if (const auto found = old_rows.find(workers[1]->rows[i]); found != old_rows.end())
          common.push_back({found->first, {found->second, i}});
      check(!common.empty(), "bench: the two have no row in common");
      turns.alone = workers[0]->rows.size() + workers[1]->rows.size() - 2 * common.size();
      turns.pairs = options.pairs > 0 ? options.pairs : usual_pairs(common.size(), options.alarm_rate);
    }
    for (Common& row : common) {
      const auto ask = [&](const char* order, size_t which) {
        return workers[which]->ask(concat(order, " ", row.rows[which]));
      };
      for (const size_t which : {first, second}) {
        if (!row.right) break;
        const std::string answer = ask(pair == 0 ? "check" : "ready", which);
        if (answer == "right") continue;
        turns.wrong.push_back(row.key + (which == 0 ? " of the old: " : " of the new: ") + answer);
        row.right = false;
      }
      if (!row.right) continue;
      double best[2] = {INFINITY, INFINITY};
      for (const size_t which : {first, second, second, first})
        best[which] = std::min(best[which], std::stod(ask("time", which)));
      row.times.old_times.push_back(best[0]);
      row.times.new_times.push_back(best[1]);
    }
    on_pair(pair + 1, turns.pairs);
  }
  for (Common& row : common) {
    if (!row.right) continue;
    turns.keys.push_back(std::move(row.key));
    turns.times.push_back(std::move(row.times));
  }
  return turns;
}

std::string to_json(const Turns& turns) {
  using nlohmann::ordered_json;
  ordered_json rows = ordered_json::array();
  for (size_t i = 0; i < turns.keys.size(); ++i)
    rows.push_back(
        {{"row", turns.keys[i]}, {"old", turns.times[i].old_times}, {"new", turns.times[i].new_times}});
  return ordered_json({{"format", "galvan bench turns 1"}, {"rows", rows}}).dump() + "\n";
}

}  // namespace galvan
