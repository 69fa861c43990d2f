// Measuring: kernels are made ready, looked at whether what they give is right, and timed.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "apps/bench/table.h"
#include "core/device.h"

namespace galvan {

struct BenchOptions {
  std::string filter =
      {};  // a regular expression that is found in "softmax forward" or "softmax/naive forward"
  DType dtype = DType::f32;
  std::string shape = {};  // "B=64,T=1024": in place of Sizes' defaults
  int samples = 15;        // of a row; fewer, but five, of a slow one
};

// "B=64,T=1024,C=768"; sizes are B, T, C, H, V. Throws Error that names what is wrong.
Sizes parse_sizes(const std::string& text);

// A kernel, a pass and a device: the rows that are timed in turn.
struct BenchGroup {
  BenchKernel kernel;
  Pass pass = Pass::forward;
  std::vector<Technique> techniques = {};
};

// Those that the options leave, for "cpu" or "cuda". Throws when the filter is no regular expression or leaves nothing.
std::vector<BenchGroup> bench_groups(const BenchOptions& options, const std::string& device);

// "2048x384, 384": of a case's inputs.
std::string shape_text(const OpCase& bench);

// A row but for its times, and the call that they are of: while its technique is in use.
struct Subject {
  BenchRow row;
  Technique technique;
  PreparedCall call;
};

// Makes a group's rows ready on a device, and holds what they give against f64 on the CPU, in memory that was
// filled with NaN before.
std::vector<Subject> make_ready(const BenchGroup& group, const Sizes& sizes, DType dtype, Device device);
// The same unchecked: the row says nothing of errors.
std::vector<Subject> make_ready_again(const BenchGroup& group, const Sizes& sizes, DType dtype,
                                      Device device);

// Seconds of a call on the CPU, of so many in a row; and how many take `seconds` at least.
double time_of(const Subject& subject, int64_t calls);
int64_t calls_in(const Subject& subject, double seconds);

using OnRow = std::function<void(const BenchTable&, const BenchRow&)>;

// Adds the CPU's ceilings and rows to the table, in the threads that are set. `on_row` is told of each.
void measure_cpu(const BenchOptions& options, BenchTable& table, const OnRow& on_row);

}  // namespace galvan
