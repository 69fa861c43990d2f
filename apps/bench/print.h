// `galvan bench`'s tables as text.
#pragma once

#include <string>
#include <vector>

#include "apps/bench/table.h"
#include "apps/bench/verdict.h"

namespace galvan {

// The rows of one kernel, pass and device belong together: `baseline` is the technique that speeds refer to, "" the
// lowest rung.
// `untimed`: why there are no times, or "".
void print_head(const BenchTable& table, const std::string& device, const std::string& untimed);
void print_row(const BenchTable& table, const BenchRow& row, const std::string& baseline);
// A row that has no times and none to come: its launches and what they ask of memory, its floor.
void print_untimed(const BenchTable& table, const BenchRow& row);

// Prints the verdicts on rows of these names; the exit code: 3 when one is slower.
int print_comparison(const std::vector<std::string>& names, const std::vector<Times>& times,
                     const std::vector<Comparison>& comparisons);

}  // namespace galvan
