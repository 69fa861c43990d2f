// The page of `galvan bench --html`: a roofline, the ladders, the table, and of several files how times changed.
#pragma once

#include <string>
#include <vector>

#include "apps/bench/table.h"

namespace galvan {

struct BenchFile {
  std::string name = {};  // told apart from the others by it
  BenchTable table = {};
};

// Of the last of the files, with those before it as its history; `baseline` as for print_row.
std::string bench_page(const std::vector<BenchFile>& files, const std::string& baseline);

}  // namespace galvan
