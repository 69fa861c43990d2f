// What was heard of some steps, as a table of ops and as a trace.
#pragma once

#include <string>
#include <vector>

#include "apps/bench/table.h"
#include "apps/profile/recorder.h"

namespace galvan {

struct ProfileRow {
  std::string op;  // "linear backward"
  // Where it stands in the code, or the name of a kernel of a card; "": all of the op.
  std::string kernels = {};
  int64_t calls = 0, bytes = 0, allocations = 0, allocated_bytes = 0, launches = 0;
  double seconds = 0, flops = 0;
  double floor = 0;        // seconds: the sum over the calls of what bytes or FLOPs take at least
  const char* bound = "";  // which of both is more of it: "memory" or "compute"
};

// Of steps that all ran the same ops: counts of one step, and the medians of their times. A row an op, those that take
// longest first, each followed by those of its kernels if `kernels` says so. Ceilings of 0: no floors.
std::vector<ProfileRow> profile_rows(const std::vector<StepRun>& steps, const Ceilings& ceilings,
                                     bool kernels);

// As people read it, with times or, where they mean nothing, without.
std::string profile_table(const std::vector<ProfileRow>& rows, double step_seconds, bool timed, bool card);

// A JSON file that Perfetto and Chrome's chrome://tracing open: the ops of a step one after the other, with what is known
// of each. Without times each op is a microsecond long.
std::string to_trace(const StepRun& step, const std::string& title, bool timed);

}  // namespace galvan
