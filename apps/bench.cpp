// `galvan bench`: times the ops, keeps the times, and tells two builds apart.
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <iostream>
#include <map>

#include "apps/bench/table.h"
#include "apps/bench/verdict.h"
#include "apps/command.h"
#include "apps/device.h"
#include "apps/machine.h"
#include "apps/text_format.h"
#include "core/cpu/simd/isa.h"
#include "core/parallel.h"
#include "models/files.h"

namespace galvan {
namespace {

std::string microseconds(double seconds) { return printed("%.1f", seconds * 1e6); }

void print_head(const BenchTable& table) {
  std::printf("%s, %d thread%s, %s; copying %.1f GB/s, peak %.1f GFLOP/s\n", table.dtype.c_str(), threads(),
              threads() == 1 ? "" : "s", isa_name(isa()), table.bytes_per_second / 1e9,
              table.flops_per_second / 1e9);
  std::printf("%-20s %-20s %-32s %10s %21s %7s %8s %7s %-7s %6s\n", "op", "pass", "inputs", "median us",
              "20 % to 80 %", "GB/s", "GFLOP/s", "light", "bound", "error");
}

void print_row(const BenchTable& table, const BenchRow& row) {
  const double median = quantile(row.times, 0.5);
  const auto rate = [&](double amount) { return amount > 0 ? printed("%.1f", amount / median / 1e9) : ""; };
  const Floor floor = floor_of(row, table);
  std::printf("%-20s %-20s %-32s %10s %10s %10s %7s %8s %7s %-7s %6s%s%s\n", row.op.c_str(), row.pass.c_str(),
              row.shape.c_str(), microseconds(median).c_str(), microseconds(quantile(row.times, 0.2)).c_str(),
              microseconds(quantile(row.times, 0.8)).c_str(), rate(row.bytes).c_str(),
              rate(row.flops).c_str(),
              floor.seconds > 0 ? printed("%.0f %%", 100 * floor.seconds / median).c_str() : "", floor.bound,
              row.bytes > 0 && table.dtype != "f64" ? printed("%.2f", row.error).c_str() : "",
              row.error > 1 ? "  WRONG" : "", row.deterministic ? "" : "  NOT DETERMINISTIC");
  std::fflush(stdout);
}

bool is_right(const BenchRow& row) { return row.error <= 1 && row.deterministic; }

// Rows of the same name in both, in the order of the new ones.
struct Paired {
  std::vector<const BenchRow*> rows;
  std::vector<Times> times;
};

std::string key_of(const BenchRow& row) { return row.op + " " + row.pass + " (" + row.shape + ")"; }

Paired pair_up(const BenchTable& old_table, const BenchTable& new_table) {
  std::map<std::string, const BenchRow*> old_rows;
  for (const BenchRow& row : old_table.rows) old_rows[key_of(row)] = &row;
  Paired paired;
  for (const BenchRow& row : new_table.rows)
    if (const auto found = old_rows.find(key_of(row)); found != old_rows.end()) {
      paired.rows.push_back(&row);
      paired.times.push_back({found->second->times, row.times});
    }
  check(!paired.rows.empty(), "bench: the two have no row in common");
  if (const size_t left = old_table.rows.size() + new_table.rows.size() - 2 * paired.rows.size(); left > 0)
    std::printf("%zu rows stand in one of the two alone and are left out.\n", left);
  return paired;
}

// Prints the verdicts; the exit code: 3 when a row is slower.
int print_comparison(const Paired& paired, const std::vector<Comparison>& comparisons) {
  int counts[3] = {};
  std::printf("%-58s %10s %10s %9s %9s  %s\n", "", "old us", "new us", "new/old", "p", "verdict");
  for (size_t i = 0; i < comparisons.size(); ++i) {
    const Comparison& c = comparisons[i];
    ++counts[static_cast<int>(c.verdict)];
    std::printf("%-58s %10s %10s %9.3f %9.2g  %s\n", key_of(*paired.rows[i]).c_str(),
                microseconds(quantile(paired.times[i].old_times, 0.5)).c_str(),
                microseconds(quantile(paired.times[i].new_times, 0.5)).c_str(), c.ratio, c.p,
                name(c.verdict));
  }
  std::printf("%d faster, %d slower, %d that can't be told apart.\n",
              counts[static_cast<int>(SpeedVerdict::faster)], counts[static_cast<int>(SpeedVerdict::slower)],
              counts[static_cast<int>(SpeedVerdict::cannot_tell)]);
  return counts[static_cast<int>(SpeedVerdict::slower)] > 0 ? 3 : 0;
}

// What a shell command prints.
std::string output_of(const std::string& command) {
  std::FILE* pipe = ::popen(command.c_str(), "r");
  check(pipe != nullptr, "bench: cannot start ", command);
  std::string text;
  char buffer[1 << 16];
  for (size_t n = 0; (n = std::fread(buffer, 1, sizeof buffer, pipe)) > 0;) text.append(buffer, n);
  check(::pclose(pipe) == 0, "bench: this failed: ", command);
  return text;
}

class BenchCommand : public Command {
 public:
  const char* name() const override { return "bench"; }
  const char* about() const override { return "Time the ops, or tell which of two builds is faster"; }
  const char* examples() const override {
    return R"(Examples:
  galvan bench                                        every op, in f32
  galvan bench --filter 'norm|softmax' --dtype bf16
  galvan bench --threads 1 --json new.json
  galvan bench compare old.json new.json              faster, slower, or can't tell
  galvan bench --against ../old/build/release/galvan  the two in turn: what a verdict should rest on

Times are medians. GB/s count every input read once and every output written once; data may come from a
cache, so that more than the copying rate is no mistake. `light` is the share of the least time that the
measured ceilings allow. `error` is a forward pass's distance from f64 as a share of what rounding
allows: above 1 is wrong. Where nothing changed, --against has any verdict at all with a chance of
alarm-rate at most; of two files that holds only if the machine was in one state both times.
The exit code is 3 when a row is slower, 4 when a result is wrong.)";
  }

  void add_options(Settings& settings) override {
    settings.add_arguments("files", &arguments_,
                           "compare OLD NEW: two files of --json, held against each other");
    settings.add("filter", &options_.filter,
                 "only rows in whose name (op and pass) this regular expression is found");
    settings.add("dtype", &dtype_, "of real inputs", {.choices = {"f32", "f64", "bf16"}});
    settings.add("samples", &samples_, "timed calls of a row", {.least = 1, .most = 100000});
    settings.add("threads", &threads_, "threads of computation; default all processors",
                 {.least = 0, .most = 1024});
    settings.add("json", &json_, "keep the times in this file; - is standard output, and nothing else then");
    settings.add("against", &against_, "another build's galvan, run in turn with this one");
    settings.add("pairs", &pairs_, "turns with --against; default five more than a verdict takes at least",
                 {.least = 1, .most = 10000});
    settings.add("alarm-rate", &alarm_rate_, "chance of a verdict in a table in which nothing changed",
                 {.least = 1e-9, .most = 0.5});
    settings.add_config(&config_);
  }

  int run(Settings& settings) override {
    if (!config_.empty()) settings.apply_file(config_);
    if (!arguments_.empty()) {
      refuse(settings, {"filter", "dtype", "samples", "threads", "json", "against", "pairs"}, "compare");
      return compare();
    }
    if (against_.empty())
      refuse(settings, {"pairs", "alarm-rate"}, "one build");
    else
      refuse(settings, {"json"}, "--against");
    if (threads_ > 0) set_threads(static_cast<int>(threads_));
    options_.dtype = parse_dtype(dtype_);
    options_.samples = static_cast<int>(samples_);
    return against_.empty() ? measure() : take_turns();
  }

 private:
  static void refuse(const Settings& settings, const std::vector<const char*>& options, const char* beside) {
    for (const char* option : options)
      if (settings.given(option)) throw UsageError(concat("--", option, " does nothing with ", beside));
  }

  int measure() {
    const bool quiet = json_ == "-";
    bool begun = false;
    BenchTable table = measure_ops(options_, [&](const BenchTable& so_far, const BenchRow& row) {
      if (quiet) return;
      if (!std::exchange(begun, true)) print_head(so_far);
      print_row(so_far, row);
    });
    table.machine = {{"galvan", GALVAN_VERSION},   {"compiler", compiler_name()},
                     {"build", GALVAN_BUILD},      {"processor", processor_name()},
                     {"kernels", isa_name(isa())}, {"threads", std::to_string(threads())}};
    if (quiet) {
      for (const BenchRow& row : table.rows)
        if (!is_right(row)) std::fprintf(stderr, "galvan: %s is wrong\n", key_of(row).c_str());
      std::cout << to_json(table);
    }
    if (!quiet && !json_.empty()) write_file_atomically(json_, to_json(table));
    return std::all_of(table.rows.begin(), table.rows.end(), is_right) ? 0 : 4;
  }

  int compare() const {
    if (arguments_.size() != 3 || arguments_[0] != "compare")
      throw UsageError("bench takes no arguments but `compare OLD.json NEW.json`");
    const auto read = [](const std::string& path) { return parse_bench_table(read_text_file(path), path); };
    const BenchTable old_table = read(arguments_[1]), new_table = read(arguments_[2]);
    check(old_table.dtype == new_table.dtype, "bench: one is of ", old_table.dtype, ", the other of ",
          new_table.dtype);
    if (old_table.machine != new_table.machine) print_differences(old_table, new_table);
    const Paired paired = pair_up(old_table, new_table);
    const int code = print_comparison(paired, compare_samples(paired.times, alarm_rate_));
    std::puts("Two files were not measured in turn, and a machine drifts: --against is what to rest on.");
    return code;
  }

  static void print_differences(const BenchTable& old_table, const BenchTable& new_table) {
    const std::map<std::string, std::string> old_machine(old_table.machine.begin(), old_table.machine.end());
    for (const auto& [what, value] : new_table.machine)
      if (const auto found = old_machine.find(what); found == old_machine.end() || found->second != value)
        std::printf("%s: old %s, new %s\n", what.c_str(),
                    found == old_machine.end() ? "not said" : found->second.c_str(), value.c_str());
  }

  int take_turns() {
    const std::string arguments =
        concat(" bench --json - --filter ", shell_quoted(options_.filter), " --dtype ", dtype_, " --samples ",
               samples_, " --threads ", threads());
    const std::string programs[] = {against_, std::filesystem::read_symlink("/proc/self/exe").string()};
    BenchTable tables[2];  // old, new: the median of each turn
    int64_t pairs = pairs_;
    for (int64_t turn = 0; pairs == 0 || turn < pairs; ++turn) {
      for (const int64_t which : {turn % 2, 1 - turn % 2}) {
        BenchTable table =
            parse_bench_table(output_of(shell_quoted(programs[which]) + arguments), programs[which]);
        for (BenchRow& row : table.rows) row.times = {quantile(row.times, 0.5)};
        if (turn == 0) {
          tables[which] = std::move(table);
          continue;
        }
        check(table.rows.size() == tables[which].rows.size(), "bench: ", programs[which],
              " has other rows now");
        for (size_t i = 0; i < table.rows.size(); ++i)
          tables[which].rows[i].times.push_back(table.rows[i].times[0]);
      }
      if (pairs == 0) pairs = pairs_needed(tables[1].rows.size(), alarm_rate_) + 5;  // a few may disagree
      std::fprintf(stderr, "turn %lld of %lld\n", static_cast<long long>(turn + 1),
                   static_cast<long long>(pairs));
    }
    const Paired paired = pair_up(tables[0], tables[1]);
    if (const int needed = pairs_needed(paired.rows.size(), alarm_rate_); pairs < needed)
      std::printf("%lld pairs are too few for a verdict on %zu rows: that takes %d.\n",
                  static_cast<long long>(pairs), paired.rows.size(), needed);
    return print_comparison(paired, compare_pairs(paired.times, alarm_rate_));
  }

  std::vector<std::string> arguments_;
  BenchOptions options_;
  std::string dtype_ = "f32", json_, against_, config_;
  int64_t samples_ = 15, threads_ = 0, pairs_ = 0;
  double alarm_rate_ = 0.05;
};

}  // namespace

std::unique_ptr<Command> make_bench_command() { return std::make_unique<BenchCommand>(); }

}  // namespace galvan
