// What `galvan bench` measures, and the file that it is kept in.
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "core/dtype.h"

namespace galvan {

struct BenchRow {
  std::string op, pass;  // "softmax", "forward" or "forward and backward"
  std::string shape;     // of the inputs: "64x256, 256"
  double bytes = 0;      // that a forward pass cannot do without; 0 with the backward, whose are not counted
  double flops = 0;      // of a forward pass; 0 where bandwidth is what counts
  // Of a forward pass: the largest distance from f64, as a share of what rounding allows; above 1, it is wrong.
  double error = 0;
  bool deterministic = true;       // twice the same bits
  std::vector<double> times = {};  // seconds of a call
};

struct BenchTable {
  // Where and with what it was measured: "processor", "kernels", "threads", "compiler", ...
  std::vector<std::pair<std::string, std::string>> machine = {};
  std::string dtype = {};
  double bytes_per_second = 0, flops_per_second = 0;  // the ceilings, measured in the same run
  std::vector<BenchRow> rows = {};
};

struct BenchOptions {
  std::string filter = {};  // a regular expression that is found in "op pass"
  DType dtype = DType::f32;
  int samples = 15;  // of a row
};

// Measures the ceilings and every row of the op table, at the size that the row names for benchmarks, in the threads
// that are set. `on_row` is told of each. Throws when the filter is no regular expression or leaves nothing.
BenchTable measure_ops(const BenchOptions& options,
                       const std::function<void(const BenchTable&, const BenchRow&)>& on_row);

// The least time that the ceilings allow, in seconds, and which one it is: "memory" or "compute"; 0 and "" where the row
// counts nothing.
struct Floor {
  double seconds = 0;
  const char* bound = "";
};
Floor floor_of(const BenchRow& row, const BenchTable& table);

std::string to_json(const BenchTable& table);
// Throws "NAME: ..." when the text is no such file.
BenchTable parse_bench_table(const std::string& text, const std::string& name);

}  // namespace galvan
