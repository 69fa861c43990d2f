// `galvan bench`: times the kernels, keeps the times, and tells two builds apart.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <filesystem>
#include <iostream>
#include <iterator>
#include <map>

#include "apps/bench/card.h"
#include "apps/bench/ladders.h"
#include "apps/bench/measure.h"
#include "apps/bench/page.h"
#include "apps/bench/print.h"
#include "apps/bench/turns.h"
#include "apps/command.h"
#include "apps/device.h"
#include "apps/machine.h"
#include "apps/run_folder.h"
#include "apps/text_format.h"
#include "core/cpu/simd/isa.h"
#include "core/parallel.h"
#include "core/variants.h"
#include "models/files.h"

namespace galvan {
namespace {

// Rows of the same name in both, in the order of the new ones.
struct Paired {
  std::vector<std::string> names;
  std::vector<Times> times;
};

Paired pair_up(const BenchTable& old_table, const BenchTable& new_table) {
  std::map<std::string, const BenchRow*> old_rows;
  for (const BenchRow& row : old_table.rows) old_rows[key_of(row)] = &row;
  Paired paired;
  for (const BenchRow& row : new_table.rows)
    if (const auto found = old_rows.find(key_of(row));
        found != old_rows.end() && !row.times.empty() && !found->second->times.empty()) {
      paired.names.push_back(key_of(row));
      paired.times.push_back({found->second->times, row.times, found->second->clock, row.clock});
    }
  check(!paired.names.empty(), "bench: the two have no row in common");
  if (const size_t left = old_table.rows.size() + new_table.rows.size() - 2 * paired.names.size(); left > 0)
    std::printf("%zu rows stand in one of the two alone and are left out.\n", left);
  return paired;
}

std::string today() {
  const std::time_t now = std::time(nullptr);
  char text[16];
  std::strftime(text, sizeof text, "%Y-%m-%d", std::gmtime(&now));
  return text;
}

#ifdef GALVAN_CUDA
constexpr bool kCudaIsBuilt = true;
#else
constexpr bool kCudaIsBuilt = false;
#endif

class BenchCommand : public Command {
 public:
  const char* name() const override { return "bench"; }
  const char* about() const override { return "Time the kernels, or tell which of two builds is faster"; }
  const char* examples() const override {
    return R"(Examples:
  galvan bench                                        every kernel, in f32
  galvan bench --filter 'norm|softmax' --dtype bf16
  galvan bench --filter '^matmul' --baseline naive    a ladder, its speed against one of its rungs
  galvan bench --shape B=64,T=1024,C=768 --json new.json
  galvan bench --html bench.html                      a page: roofline, ladders, table
  galvan bench page a.json b.json --html bench.html   the same of files, with their history
  galvan bench compare old.json new.json              faster, slower, or can't tell
  galvan bench --against ../old/build/release/galvan  the two in turn: what a verdict should rest on

Times are medians. GB/s count every input read once and every output written once; data may come from a
cache, so that more than the copying rate is no mistake. `light` is the share of the least time that the
measured ceilings allow. `error` is the distance from f64 as a share of what rounding allows: above 1 is
wrong, and has no time. Where a kernel has several versions they are timed in turn; `x base` and `x lib` are
the medians of how many times as fast as the baseline and the library they were. Where nothing changed,
--against has any verdict at all with a chance of alarm-rate at most; of two files that holds only if the
machine was in one state both times. A verdict on a card's files needs times and cycles that agree, for a
card changes its clock. The exit code is 3 when a row is slower, 4 when a result is wrong.)";
  }

  void add_options(Settings& settings) override {
    settings.add_arguments(
        "files", &arguments_,
        "compare OLD NEW: two files of --json, held against each other; page FILES: their page");
    settings.add("filter", &options_.filter,
                 "only rows in whose name (`softmax forward`, `softmax/naive forward`) this regular "
                 "expression is found");
    settings.add("shape", &options_.shape,
                 "sizes of batch, time, channels, heads, vocabulary, such as B=64,T=1024,C=768; default "
                 "B=8,T=256,C=384,H=6,V=65");
    settings.add("dtype", &dtype_, "of real inputs", {.choices = {"f32", "f64", "bf16"}});
    settings.add("device", &device_,
                 "where to compute; all takes a card too, or its simulator, in a build with CUDA",
                 {.choices = {"all", "cpu", "cuda"}});
    settings.add("card", &card_, "whose data sheet floors refer to where there is no card to be measured",
                 {.choices = known_cards()});
    settings.add(
        "kernel", &kernels_,
        "other versions of kernels in the places of those that training uses: softmax=naive, or several "
        "with commas between");
    settings.add("baseline", &baseline_,
                 "the version that speeds refer to; default the lowest rung of its ladder");
    settings.add("samples", &samples_, "timed calls of a row", {.least = 1, .most = 100000});
    settings.add("threads", &threads_, "threads of computation; default all processors",
                 {.least = 0, .most = 1024});
    settings.add("json", &json_, "keep the times in this file; - is standard output, and nothing else then");
    settings.add("html", &html_, "draw a page into this file");
    settings.add("write-ladders", &ladders_,
                 "make the tables of ladders in this Markdown file anew: <!-- ladder:matmul --> the CPU's, "
                 "<!-- times:matmul --> a card's");
    settings.add("against", &against_,
                 "another build's galvan, timed in turn with this one, row by row; on the CPU, or with "
                 "--device cuda on a card");
    settings.add("pairs", &pairs_,
                 "pairs of processes with --against; default 24 more than twice what a verdict takes",
                 {.least = 1, .most = 10000});
    settings.add("alarm-rate", &alarm_rate_, "chance of a verdict in a table in which nothing changed",
                 {.least = 1e-9, .most = 0.5});
    settings.add_config(&config_);
  }

  int run(Settings& settings) override {
    if (!config_.empty()) settings.apply_file(config_);
    const bool worker = arguments_ == std::vector<std::string>{"worker"};  // of another bench's --against
    if (!arguments_.empty() && !worker) {
      refuse(settings,
             {"filter", "shape", "dtype", "device", "card", "kernel", "samples", "threads", "json", "against",
              "pairs"},
             "files");
      if (arguments_[0] != "page") {
        refuse(settings, {"baseline", "html", "write-ladders"}, "compare");
        return compare();
      }
      refuse(settings, {"alarm-rate"}, "page");
      return draw();
    }
    if (against_.empty())
      refuse(settings, {"pairs", "alarm-rate"}, "one build");
    else
      refuse(settings, {"card", "kernel", "baseline", "samples", "html", "write-ladders"}, "--against");
    check_outputs();
    if (!against_.empty() && device_ == "cuda") {
      const std::string reason = why_no_times();
      check(reason.empty(), "bench: --against takes times, and a card has none here: ", reason);
    }
    choose_variants(kernels_, device_ == "all" ? "" : device_);
    if (threads_ > 0) set_threads(static_cast<int>(threads_));
    options_.dtype = parse_dtype(dtype_);
    options_.samples = static_cast<int>(samples_);
    if (worker) {
      serve_turns(options_, device_ == "cuda" ? kCuda : kCpu);
      return 0;
    }
    return against_.empty() ? measure() : take_turns();
  }

 private:
  static void refuse(const Settings& settings, const std::vector<const char*>& options, const char* beside) {
    for (const char* option : options)
      if (settings.given(option)) throw UsageError(concat("--", option, " does nothing with ", beside));
  }

  // Before anything is measured that could not be kept.
  void check_outputs() const {
    if (!against_.empty() && json_ == "-")
      throw UsageError("--json -: beside --against the verdicts are what standard output has");
    if (!json_.empty() && json_ == html_) throw UsageError("--json and --html name the same file");
    for (const std::string& file : {json_, html_, ladders_})
      if (!file.empty() && file != "-") check_writable(std::filesystem::absolute(file).parent_path());
    if (!ladders_.empty()) with_ladders(read_text_file(ladders_), ladders_, {});  // its marks
    if (!baseline_.empty() && !known_baseline())
      throw UsageError(concat("--baseline: no kernel of these rows has a version '", baseline_, "'"));
  }

  bool known_baseline() const {
    std::vector<BenchGroup> groups;
    if (measures_cpu()) groups = bench_groups(options_, "cpu");
    if (measures_card()) std::ranges::copy(bench_groups(options_, "cuda"), std::back_inserter(groups));
    return std::ranges::any_of(groups, [&](const BenchGroup& group) {
      return std::ranges::any_of(group.techniques,
                                 [&](const Technique& technique) { return technique.name == baseline_; });
    });
  }

  bool measures_cpu() const { return device_ != "cuda"; }
  bool measures_card() const { return device_ == "cuda" || (device_ == "all" && kCudaIsBuilt); }

  int measure() {
    const bool quiet = json_ == "-";
    BenchTable table{.machine = {{"galvan", GALVAN_VERSION},
                                 {"commit", commit()},
                                 {"compiler", compiler_name()},
                                 {"build", GALVAN_BUILD},
                                 {"processor", processor_name()},
                                 {"kernels", isa_name(isa())},
                                 {"threads", std::to_string(threads())}},
                     .date = today(),
                     .dtype = dtype_};
    if (device_ != "cpu" && why_no_times().empty()) {
      table.machine.emplace_back("card", device_description(kCuda));
      table.machine.emplace_back("CUDA", cuda_versions());
    }
    const OnRow on_row = [&, begun = std::string()](const BenchTable& so_far, const BenchRow& row) mutable {
      if (quiet) return;
      const std::string untimed = row.device == "cpu" ? "" : why_no_times();
      if (std::exchange(begun, row.device) != row.device) print_head(so_far, row.device, untimed);
      untimed.empty() ? print_row(so_far, row, baseline_) : print_untimed(so_far, row);
    };
    if (measures_cpu()) measure_cpu(options_, table, on_row);
    if (measures_card()) measure_card(options_, card_, table, on_row);
    if (quiet) {
      for (const BenchRow& row : table.rows)
        if (!is_right(row)) std::fprintf(stderr, "galvan: %s is wrong\n", key_of(row).c_str());
      std::cout << to_json(table);
    }
    if (!quiet && !json_.empty()) write_file_atomically(json_, to_json(table));
    write_pages({{.name = table.date, .table = table}});
    return std::all_of(table.rows.begin(), table.rows.end(), is_right) ? 0 : 4;
  }

  static BenchTable read(const std::string& path) { return parse_bench_table(read_text_file(path), path); }

  int draw() const {
    if (arguments_.size() < 2 || (html_.empty() && ladders_.empty()))
      throw UsageError("bench page needs FILES.json and --html FILE or --write-ladders FILE");
    std::vector<BenchFile> files;
    for (size_t i = 1; i < arguments_.size(); ++i)
      files.push_back(
          {.name = std::filesystem::path(arguments_[i]).stem().string(), .table = read(arguments_[i])});
    write_pages(files);
    return 0;
  }

  // What --html and --write-ladders ask for; ladders are the last file's.
  void write_pages(const std::vector<BenchFile>& files) const {
    if (!html_.empty()) write_file_atomically(html_, bench_page(files, baseline_));
    if (!ladders_.empty())
      write_file_atomically(ladders_, with_ladders(read_text_file(ladders_), ladders_, files.back().table));
  }

  int compare() const {
    if (arguments_.size() != 3 || arguments_[0] != "compare")
      throw UsageError("bench takes no arguments but `compare OLD.json NEW.json` and `page FILES.json`");
    const BenchTable old_table = read(arguments_[1]), new_table = read(arguments_[2]);
    check(old_table.dtype == new_table.dtype, "bench: one is of ", old_table.dtype, ", the other of ",
          new_table.dtype);
    if (old_table.machine != new_table.machine) print_differences(old_table, new_table);
    const Paired paired = pair_up(old_table, new_table);
    const int code = print_comparison(paired.names, paired.times, compare_samples(paired.times, alarm_rate_));
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
    const std::string device = device_ == "cuda" ? "cuda" : "cpu";
    std::vector<std::string> arguments = {"bench",   "worker", "--device",  device,
                                          "--dtype", dtype_,   "--threads", std::to_string(threads())};
    if (!options_.filter.empty()) arguments.insert(arguments.end(), {"--filter", options_.filter});
    if (!options_.shape.empty()) arguments.insert(arguments.end(), {"--shape", options_.shape});
    parse_sizes(options_.shape);  // what is wrong with them is better said here
    bench_groups(options_, device);
    const Turns turns =
        galvan::take_turns({.old_program = against_,
                            .new_program = "/proc/self/exe",
                            .arguments = arguments,
                            .pairs = pairs_,
                            .alarm_rate = alarm_rate_},
                           [](int64_t done, int64_t of) {
                             std::fprintf(stderr, "pair %lld of %lld\n", static_cast<long long>(done),
                                          static_cast<long long>(of));
                           });
    if (!json_.empty()) write_file_atomically(json_, to_json(turns));
    if (turns.alone > 0)
      std::printf("%zu rows stand in one of the two alone and are left out.\n", turns.alone);
    for (const std::string& wrong : turns.wrong) std::printf("WRONG: %s\n", wrong.c_str());
    if (turns.keys.empty()) return 4;
    if (const int needed = pairs_needed(turns.keys.size(), alarm_rate_); turns.pairs < needed)
      std::printf("%lld pairs are too few for a verdict on %zu rows: that takes %d.\n",
                  static_cast<long long>(turns.pairs), turns.keys.size(), needed);
    const int code = print_comparison(turns.keys, turns.times, compare_pairs(turns.times, alarm_rate_));
    return turns.wrong.empty() ? code : 4;
  }

  std::vector<std::string> arguments_;
  BenchOptions options_;
  std::string dtype_ = "f32", device_ = "all", card_ = "h100", kernels_, baseline_, json_, html_, ladders_,
              against_, config_;
  int64_t samples_ = 15, threads_ = 0, pairs_ = 0;
  double alarm_rate_ = 0.05;
};

}  // namespace

std::unique_ptr<Command> make_bench_command() { return std::make_unique<BenchCommand>(); }

}  // namespace galvan
