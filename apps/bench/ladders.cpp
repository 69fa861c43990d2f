#include "apps/bench/ladders.h"

#include "apps/bench/verdict.h"
#include "apps/text_format.h"
#include "core/check.h"

namespace galvan {
namespace {

constexpr std::string_view kBegin = "<!-- ladder:", kBeginEnd = " -->\n", kEnd = "<!-- /ladder -->";

std::string times(const std::optional<double>& speed) { return speed ? printed("%.2f", *speed) : "-"; }

std::string value_of(const BenchTable& table, const std::string& what) {
  for (const auto& [name, value] : table.machine)
    if (name == what) return value;
  return "not said";
}

std::string link(const BenchRow& row, const std::filesystem::path& beside) {
  const std::string place = std::filesystem::path(row.file).lexically_relative(beside).generic_string();
  return "[" + row.technique + "](" + (place.empty() ? row.file : place) + ")";
}

std::string ladder(const std::string& versions, const std::filesystem::path& beside,
                   const BenchTable& table) {
  const bool backward = versions.ends_with("_backward");
  const std::string kernel = backward ? versions.substr(0, versions.size() - 9) : versions;
  const std::string pass = name(backward ? Pass::forward_and_backward : Pass::forward);
  std::string text;
  const BenchRow* lowest = nullptr;
  for (const BenchRow& row : table.rows) {
    if (row.kernel != kernel || row.pass != pass || row.device != "cpu" || row.role == Role::only) continue;
    if (lowest == nullptr) {
      lowest = &row;
      const Ceilings ceilings = ceilings_of(table, "cpu");
      text = concat(row.kernel, " ", pass, " of ", row.shape, " in ", table.dtype, "; ", table.date, ", ",
                    value_of(table, "processor"), ", ", value_of(table, "threads"),
                    value_of(table, "threads") == "1" ? " thread, " : " threads, ",
                    value_of(table, "kernels"), ", ", value_of(table, "compiler"),
                    "; measured in the same run: copying ", printed("%.1f", ceilings.bytes_per_second / 1e9),
                    " GB/s, peak ", printed("%.1f", ceilings.flops_per_second / 1e9), " GFLOP/s.\n\n",
                    "| version | median, us | GFLOP/s | GB/s | of the floor's speed | times as fast as ",
                    row.technique, " | as the library |\n|---|---|---|---|---|---|---|\n");
    }
    text += "| " + link(row, beside);
    if (!is_right(row) || row.times.empty()) {
      text += " | WRONG | | | | | |\n";
      continue;
    }
    const double median = quantile(row.times, 0.5);
    const auto rate = [&](double amount) {
      return amount > 0 ? printed("%.1f", amount / median / 1e9) : "-";
    };
    const Floor floor = floor_of(row, table);
    text += concat(" | ", printed("%.0f", median * 1e6), " | ", rate(row.flops), " | ", rate(row.bytes),
                   " | ", floor.seconds > 0 ? printed("%.0f %%", 100 * floor.seconds / median) : "-", " | ",
                   times(speed_against(row, lowest)), " | ",
                   times(speed_against(row, library_of(table, row))), " |\n");
  }
  return text;
}

}  // namespace

std::string with_ladders(const std::string& text, const std::filesystem::path& file,
                         const BenchTable& table) {
  std::string out;
  for (size_t at = 0;;) {
    const size_t begin = text.find(kBegin, at);
    if (begin == text.npos) return out + text.substr(at);
    const size_t name = begin + kBegin.size(), inside = text.find(kBeginEnd, name);
    const size_t end = inside == text.npos ? text.npos : text.find(kEnd, inside);
    check(end != text.npos, file.string(), ": there is no ", kEnd, " for ",
          text.substr(begin, text.find('\n', begin) - begin));
    const std::string made = ladder(text.substr(name, inside - name), file.parent_path(), table);
    const size_t kept = inside + kBeginEnd.size();
    out += text.substr(at, kept - at) + (made.empty() ? text.substr(kept, end - kept) : made);
    at = end;
  }
}

}  // namespace galvan
