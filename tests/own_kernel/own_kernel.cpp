// Kernels of one's own, those of docs/own_kernel, joined to this program as docs/add-a-kernel.md says: they are checked,
// measured and, on the simulated card, their accesses watched, as the project's are.
#include <doctest/doctest.h>

#include <algorithm>

#include "apps/bench/card.h"
#include "apps/bench/page.h"

using namespace galvan;

namespace {

const BenchRow& row_of(const BenchTable& table, const std::string& technique) {
  for (const BenchRow& row : table.rows)
    if (row.technique == technique) return row;
  FAIL("no row of " << technique);
  return table.rows.front();
}

void ignore(const BenchTable&, const BenchRow&) {}

}  // namespace

TEST_CASE("a kernel of one's own on the CPU is checked, measured and drawn") {
  BenchTable table{.dtype = "f32"};
  measure_cpu({.filter = "^softmax forward", .shape = "B=2,T=16", .samples = 5}, table, ignore);
  const BenchRow& row = row_of(table, "three_loops");
  CHECK(is_right(row));
  CHECK(row.role == Role::own);
  CHECK(row.file.ends_with("softmax_three_loops.cpp"));
  CHECK(row.times.size() == 5);
  const std::string page = bench_page({{.name = "now", .table = table}}, "production");
  CHECK(page.find("<span>three_loops</span>") != std::string::npos);
}

TEST_CASE("what it does not take is said") {
  BenchTable table{.dtype = "f64"};
  measure_cpu({.filter = "^softmax forward", .dtype = DType::f64, .shape = "B=2,T=16", .samples = 5}, table,
              ignore);
  CHECK(row_of(table, "three_loops").failure == "softmax_three_loops: takes f32, not f64");
}

#ifdef GALVAN_CUDA_SIM
TEST_CASE("a kernel of one's own on a card runs in the simulator, and its launch is known") {
  BenchTable table{.dtype = "f32"};
  measure_card({.filter = "^softmax forward"}, "h100", table, ignore);
  const BenchRow& row = row_of(table, "row_per_block");
  CHECK(row.failure == "");
  CHECK(is_right(row));
  CHECK(row.role == Role::own);
  CHECK(row.times.empty());
  REQUIRE(row.launches.size() == 1);
  CHECK(row.launches[0].kernel == "softmax_row_per_block");
  CHECK(row.launches[0].grid == "64");
  CHECK(row.launches[0].block == "128");
#ifdef GALVAN_SIM_CHECK
  REQUIRE(row.launches[0].counts.has_value());
  CHECK(row.launches[0].counts->bytes_read == 64 * 64 * 4);
  CHECK(row.launches[0].counts->bytes_written == 64 * 64 * 4);
  CHECK(row.launches[0].counts->barriers > 0);
#else
  CHECK_FALSE(row.launches[0].counts.has_value());
#endif
}
#endif
