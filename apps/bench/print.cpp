#include "apps/bench/print.h"

#include <cstdio>

#include "apps/text_format.h"
#include "core/check.h"

namespace galvan {
namespace {

std::string microseconds(double seconds) { return printed("%.1f", seconds * 1e6); }

std::string times_as_fast(const std::optional<double>& speed) {
  return speed ? printed(*speed < 10 ? "%.2f" : "%.0f", *speed) : "";
}

// To the right of a column.
std::string padded(const std::string& text, size_t width) {
  return text.size() < width ? std::string(width - text.size(), ' ') + text : text;
}

}  // namespace

void print_head(const BenchTable& table, const std::string& device, const std::string& untimed) {
  const Ceilings ceilings = ceilings_of(table, device);
  std::printf("%s on %s; copying %.1f GB/s, peak %.1f GFLOP/s (%s)%s\n", table.dtype.c_str(), device.c_str(),
              ceilings.bytes_per_second / 1e9, ceilings.flops_per_second / 1e9, ceilings.source.c_str(),
              untimed.empty() ? "" : concat("; no time was measured: ", untimed).c_str());
  if (!untimed.empty()) return;
  const bool on_card = device != "cpu";
  std::printf("%-26s %-20s %-30s %10s %21s %s%7s %8s %6s %-7s %6s %6s %6s  %s\n", "kernel", "pass", "inputs",
              "median us", "20 % to 80 %", on_card ? "  cold us     cycles " : "", "GB/s", "GFLOP/s", "light",
              "bound", "error", "x base", "x lib", "file");
}

void print_row(const BenchTable& table, const BenchRow& row, const std::string& baseline) {
  const std::string name = row.kernel + (row.technique.empty() ? "" : "/" + row.technique);
  std::printf("%-26s %-20s %-30s", name.c_str(), row.pass.c_str(), row.shape.c_str());
  if (!row.failure.empty()) {
    std::printf("  cannot be called: %s\n", row.failure.c_str());
    return;
  }
  const bool right = is_right(row);
  const auto in_time = [&](const std::string& text) { return right && !row.times.empty() ? text : ""; };
  const double median = row.times.empty() ? 0 : quantile(row.times, 0.5);
  const auto rate = [&](double amount) {
    return amount > 0 ? in_time(printed("%.1f", amount / median / 1e9)) : std::string();
  };
  const Floor floor = floor_of(row, table);
  const std::string of_card =
      row.device == "cpu"
          ? ""
          : padded(in_time(row.cold_times.empty() ? "" : microseconds(quantile(row.cold_times, 0.5))), 9) +
                padded(in_time(row.clock > 0 ? printed("%.0f", median * row.clock) : ""), 11) + " ";
  std::printf(
      " %10s %10s %10s %s%7s %8s %6s %-7s %6s %6s %6s%s%s  %s\n", in_time(microseconds(median)).c_str(),
      row.times.empty() ? "" : in_time(microseconds(quantile(row.times, 0.2))).c_str(),
      row.times.empty() ? "" : in_time(microseconds(quantile(row.times, 0.8))).c_str(), of_card.c_str(),
      rate(row.bytes).c_str(), rate(row.flops).c_str(),
      floor.seconds > 0 ? in_time(printed("%.0f %%", 100 * floor.seconds / median)).c_str() : "", floor.bound,
      table.dtype != "f64" ? printed("%.2f", row.error).c_str() : "",
      times_as_fast(speed_against(row, baseline_of(table, row, baseline))).c_str(),
      times_as_fast(speed_against(row, library_of(table, row))).c_str(), row.error > 1 ? "  WRONG" : "",
      row.deterministic ? "" : "  NOT DETERMINISTIC", row.file.c_str());
  std::fflush(stdout);
}

void print_untimed(const BenchTable& table, const BenchRow& row) {
  std::printf("%s (%s)%s%s%s\n", name_of(row).c_str(), row.shape.c_str(), row.file.empty() ? "" : "  ",
              row.file.c_str(),
              row.error > 1        ? "  WRONG"
              : !row.deterministic ? "  NOT DETERMINISTIC"
                                   : "");
  if (!row.failure.empty()) std::printf("    cannot be called: %s\n", row.failure.c_str());
  for (const BenchLaunch& launch : row.launches) {
    std::printf("    %s: %s blocks of %s", launch.kernel.c_str(), launch.grid.c_str(), launch.block.c_str());
    if (launch.registers > 0) std::printf(", %lld registers", static_cast<long long>(launch.registers));
    if (launch.shared_bytes > 0)
      std::printf(", %lld bytes shared", static_cast<long long>(launch.shared_bytes));
    if (launch.occupancy > 0) std::printf(", occupancy %.0f %%", 100 * launch.occupancy);
    if (const auto& c = launch.counts)
      std::printf(
          "; %lld bytes read, %lld written, %lld sectors, %lld shared transactions, %lld bank conflicts, "
          "%lld barriers",
          static_cast<long long>(c->bytes_read), static_cast<long long>(c->bytes_written),
          static_cast<long long>(c->sectors), static_cast<long long>(c->shared_transactions),
          static_cast<long long>(c->bank_conflicts), static_cast<long long>(c->barriers));
    std::puts("");
  }
  if (const Floor floor = floor_of(row, table); floor.seconds > 0)
    std::printf("    at (%s): %s, %s MFLOP, at least %s us (%s)\n",
                (row.large_shape.empty() ? row.shape : row.large_shape).c_str(), byte_size(row.bytes).c_str(),
                printed("%.1f", row.flops / 1e6).c_str(), printed("%.2f", floor.seconds * 1e6).c_str(),
                floor.bound);
  std::fflush(stdout);
}

int print_comparison(const std::vector<std::string>& names, const std::vector<Times>& times,
                     const std::vector<Comparison>& comparisons) {
  int counts[3] = {};
  std::printf("%-66s %10s %10s %9s %9s  %s\n", "", "old us", "new us", "new/old", "p", "verdict");
  for (size_t i = 0; i < comparisons.size(); ++i) {
    const Comparison& c = comparisons[i];
    ++counts[static_cast<int>(c.verdict)];
    std::printf("%-66s %10s %10s %9.3f %9.2g  %s\n", names[i].c_str(),
                microseconds(quantile(times[i].old_times, 0.5)).c_str(),
                microseconds(quantile(times[i].new_times, 0.5)).c_str(), c.ratio, c.p, name(c.verdict));
  }
  std::printf("%d faster, %d slower, %d that can't be told apart.\n",
              counts[static_cast<int>(SpeedVerdict::faster)], counts[static_cast<int>(SpeedVerdict::slower)],
              counts[static_cast<int>(SpeedVerdict::cannot_tell)]);
  return counts[static_cast<int>(SpeedVerdict::slower)] > 0 ? 3 : 0;
}

}  // namespace galvan
