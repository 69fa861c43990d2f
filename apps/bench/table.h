// What `galvan bench` measures, and the file that it is kept in.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "apps/bench/kernels.h"
#include "core/dtype.h"

namespace galvan {

// A kernel of a card, as a call launches it.
struct BenchLaunch {
  std::string kernel = {};
  std::string grid = {}, block = {};  // "24", "12x8"
  int64_t shared_bytes = 0;           // dynamic ones and those that its code declares
  int64_t registers = 0;              // a thread's, of the instance that needs most; 0: not known
  double occupancy = 0;               // share of a multiprocessor's threads that have room; 0: not known
  // By the simulator's counts (cuda/sim/counts.h); none elsewhere.
  struct Counts {
    int64_t bytes_read = 0, bytes_written = 0;  // by a perfect cache
    int64_t sectors = 0;                        // 32 bytes each, by none
    int64_t shared_transactions = 0, bank_conflicts = 0, barriers = 0;
  };
  std::optional<Counts> counts = {};
};

struct BenchRow {
  std::string kernel = {};                // "softmax"
  std::string technique = {}, file = {};  // how, and where that stands; "" where there is one way alone
  Role role = Role::only;
  std::string pass = {};  // "forward" or "forward and backward"
  std::string device = "cpu";
  std::string shape = {};  // of the inputs: "64x256, 256"
  double bytes = 0;  // that a forward pass cannot do without; 0 with the backward, whose are not counted
  double flops = 0;  // of a forward pass; 0 where bandwidth is what counts
  // The largest distance from f64, as a share of what rounding allows; above 1, it is wrong.
  double error = 0;
  bool deterministic = true;  // twice the same bits
  std::string failure = {};   // why it could not be called
  // Seconds of a call; the i-th of all techniques of a kernel were taken after one another. None where a clock means
  // nothing.
  std::vector<double> times = {};
  std::vector<double> cold_times = {};  // of a card whose cache has been emptied before
  double clock = 0;                     // of a card, in cycles a second, right after the times; 0: not known
  std::string large_shape = {};         // what bytes and FLOPs are of, where it is not `shape`
  std::vector<BenchLaunch> launches = {};
};

// "softmax/online forward", with the device where it is not the CPU: what --filter looks at.
std::string name_of(const BenchRow& row);
std::string key_of(const BenchRow& row);  // with the shape: what tells it from all other rows

// What a device can do at most.
struct Ceilings {
  std::string device = "cpu";
  std::string source = "measured";  // or whose data sheet
  double bytes_per_second = 0, flops_per_second = 0;
};

struct BenchTable {
  // Where and with what it was measured: "processor", "kernels", "threads", "compiler", ...
  std::vector<std::pair<std::string, std::string>> machine = {};
  std::string date = {};  // 2026-11-27
  std::string dtype = {};
  std::vector<Ceilings> ceilings = {};  // by device; measured in the same run
  std::vector<BenchRow> rows = {};
};

// Of a device; none known: zeros.
Ceilings ceilings_of(const BenchTable& table, const std::string& device);

// The least time that the ceilings allow, in seconds, and which one it is: "memory" or "compute"; 0 and "" where the row
// counts nothing.
struct Floor {
  double seconds = 0;
  const char* bound = "";
};
Floor floor_of(double bytes, double flops, const Ceilings& ceilings);
Floor floor_of(const BenchRow& row, const BenchTable& table);

bool is_right(const BenchRow& row);

// How many times as fast as another row of the same kernel, pass and shape: the median over the samples that were taken
// together. None where there is no such row, or one of the two is wrong or has no times.
std::optional<double> speed_against(const BenchRow& row, const BenchRow* other);
// The row of the same kernel, pass, device and shape by that technique, the lowest rung where `technique` is empty; null:
// none.
const BenchRow* baseline_of(const BenchTable& table, const BenchRow& row, const std::string& technique);
const BenchRow* library_of(const BenchTable& table, const BenchRow& row);

std::string to_json(const BenchTable& table);
// Throws "NAME: ..." when the text is no such file.
BenchTable parse_bench_table(const std::string& text, const std::string& name);

}  // namespace galvan
