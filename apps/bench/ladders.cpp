#include "apps/bench/ladders.h"

#include "apps/bench/verdict.h"
#include "apps/text_format.h"
#include "core/check.h"

namespace galvan {
namespace {

// Where tables stand, and of which device's rows.
struct Marks {
  const char *begin, *end, *device;
};
constexpr Marks kMarks[] = {{"<!-- ladder:", "<!-- /ladder -->", "cpu"},
                            {"<!-- times:", "<!-- /times -->", "cuda"}};
constexpr std::string_view kBeginEnd = " -->\n";

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

std::string rate(double amount, double seconds, double unit) {
  return amount > 0 ? printed("%.1f", amount / seconds / unit) : "-";
}

std::string share_of_floor(const BenchRow& row, const BenchTable& table, double median) {
  const double share = 100 * floor_of(row, table).seconds / median;
  return share > 0 ? printed(share < 1 ? "%.1f %%" : "%.0f %%", share) : "-";
}

std::string cpu_head(const BenchRow& lowest, const BenchTable& table) {
  const Ceilings ceilings = ceilings_of(table, "cpu");
  const std::string threads = value_of(table, "threads");
  return concat(value_of(table, "processor"), ", ", threads, threads == "1" ? " thread, " : " threads, ",
                value_of(table, "kernels"), ", ", value_of(table, "compiler"),
                "; measured in the same run: copying ", printed("%.1f", ceilings.bytes_per_second / 1e9),
                " GB/s, peak ", printed("%.1f", ceilings.flops_per_second / 1e9), " GFLOP/s.\n\n",
                "| version | median, us | GFLOP/s | GB/s | of the floor's speed | times as fast as ",
                lowest.technique, " | as the library |\n|---|---|---|---|---|---|---|\n");
}

std::string cpu_line(const BenchRow& row, const BenchRow& lowest, const BenchTable& table) {
  const double median = quantile(row.times, 0.5);
  return concat(" | ", printed("%.0f", median * 1e6), " | ", rate(row.flops, median, 1e9), " | ",
                rate(row.bytes, median, 1e9), " | ", share_of_floor(row, table, median), " | ",
                times(speed_against(row, &lowest)), " | ", times(speed_against(row, library_of(table, row))),
                " |\n");
}

std::string card_head(const BenchRow& lowest, const BenchTable& table) {
  const Ceilings ceilings = ceilings_of(table, "cuda");
  return concat(
      value_of(table, "card"), "; measured in the same run: copying ",
      printed("%.0f", ceilings.bytes_per_second / 1e9), " GB/s, matrix products ",
      printed("%.0f", ceilings.flops_per_second / 1e12), " TFLOP/s.\n\n",
      "| version | median, us | with a cold cache | TFLOP/s | GB/s | of the floor's speed | times as "
      "fast as ",
      lowest.technique, " |\n|---|---|---|---|---|---|---|\n");
}

std::string card_line(const BenchRow& row, const BenchRow& lowest, const BenchTable& table) {
  const double median = quantile(row.times, 0.5);
  const auto microseconds = [](double seconds) {
    return printed(seconds < 1e-4 ? "%.1f" : "%.0f", 1e6 * seconds);
  };
  return concat(" | ", microseconds(median), " | ",
                row.cold_times.empty() ? "-" : microseconds(quantile(row.cold_times, 0.5)), " | ",
                rate(row.flops, median, 1e12), " | ", rate(row.bytes, median, 1e9), " | ",
                share_of_floor(row, table, median), " | ", times(speed_against(row, &lowest)), " |\n");
}

std::string ladder(const std::string& versions, const std::string& device,
                   const std::filesystem::path& beside, const BenchTable& table) {
  const bool backward = versions.ends_with("_backward");
  const std::string kernel = backward ? versions.substr(0, versions.size() - 9) : versions;
  const std::string pass = name(backward ? Pass::forward_and_backward : Pass::forward);
  const bool on_cpu = device == "cpu";
  std::string text;
  const BenchRow* lowest = nullptr;
  for (const BenchRow& row : table.rows) {
    if (row.kernel != kernel || row.pass != pass || row.device != device || row.role == Role::only) continue;
    if (lowest == nullptr) {
      if (!on_cpu && row.times.empty() && is_right(row)) return "";  // counts, and no times
      lowest = &row;
      text = concat(row.kernel, " ", pass, " of ", row.shape, " in ", table.dtype, "; ", table.date, ", ",
                    on_cpu ? cpu_head(row, table) : card_head(row, table));
    }
    text += "| " + link(row, beside);
    text += !is_right(row) || row.times.empty() ? " | WRONG | | | | | |\n"
            : on_cpu                            ? cpu_line(row, *lowest, table)
                                                : card_line(row, *lowest, table);
  }
  return text;
}

// The text with the tables between these marks made anew, and counted.
std::string with_tables(const std::string& text, const Marks& marks, const std::filesystem::path& file,
                        const BenchTable& table, int& tables) {
  std::string out;
  for (size_t at = 0;;) {
    const size_t begin = text.find(marks.begin, at);
    if (begin == text.npos) return out + text.substr(at);
    const size_t name = begin + std::string_view(marks.begin).size(), inside = text.find(kBeginEnd, name);
    const size_t end = inside == text.npos ? text.npos : text.find(marks.end, inside);
    check(end != text.npos, file.string(), ": there is no ", marks.end, " for ",
          text.substr(begin, text.find('\n', begin) - begin));
    // Sources are named from where the repository begins, which is where this is called.
    const std::filesystem::path folder =
        file.is_absolute() ? file.parent_path().lexically_relative(std::filesystem::current_path())
                           : file.parent_path().lexically_normal();
    const std::string made = ladder(text.substr(name, inside - name), marks.device, folder, table);
    tables += !made.empty();
    const size_t kept = inside + kBeginEnd.size();
    out += text.substr(at, kept - at) + (made.empty() ? text.substr(kept, end - kept) : made);
    at = end;
  }
}

}  // namespace

std::string with_ladders(const std::string& text, const std::filesystem::path& file,
                         const BenchTable& table) {
  std::string made = text;
  int tables = 0;
  for (const Marks& marks : kMarks) made = with_tables(made, marks, file, table, tables);
  check(tables > 0 || table.rows.empty(), file.string(), ": of none of its ladders there are times here");
  return made;
}

}  // namespace galvan
