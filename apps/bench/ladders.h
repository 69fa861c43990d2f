// Tables of ladders in Markdown, which `galvan bench --write-ladders` keeps current: what stands between
//
//   <!-- ladder:matmul -->   and   <!-- /ladder -->
//
// is every version of a kernel (of KERNEL_backward: of its backward) on the CPU, with the date and the machine; what stands
// between <!-- times:matmul --> and <!-- /times --> the same on a card. What stands between <!-- counts:... --> and
// <!-- /counts --> is the simulator's (scripts/ladder-counts) and stays.
#pragma once

#include <filesystem>
#include <string>

#include "apps/bench/table.h"

namespace galvan {

// The text with those tables made anew of which the bench has times; `file` is where it stands, beside which links begin.
// Throws Error when a beginning has no end, or when the bench has rows, but no times for any of the tables.
std::string with_ladders(const std::string& text, const std::filesystem::path& file, const BenchTable& table);

}  // namespace galvan
