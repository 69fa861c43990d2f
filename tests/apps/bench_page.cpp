// What `galvan bench` writes for readers: its page, and the tables of ladders in Markdown.
#include <doctest/doctest.h>

#include "apps/bench/ladders.h"
#include "apps/bench/page.h"
#include "tests/apps/command.h"

using namespace galvan;

namespace {

BenchRow row(const char* kernel, const char* technique, Role role, double seconds, double error = 0.5) {
  BenchRow row{.kernel = kernel,
               .technique = technique,
               .file = role == Role::only ? "" : concat("core/cpu/ladder/", technique, ".cpp"),
               .role = role,
               .pass = "forward",
               .shape = "64x64, 64x64",
               .bytes = 3 * 4 * 64 * 64,
               .flops = 2 * 64 * 64 * 64,
               .error = error};
  for (int i = 0; i < 9; ++i) row.times.push_back(seconds * (1 + 0.01 * (i - 4)));
  return row;
}

BenchTable example(double seconds) {
  BenchTable table{.machine = {{"processor", "a <test>"}, {"threads", "2"}},
                   .date = "2026-11-27",
                   .dtype = "f32",
                   .ceilings = {{.bytes_per_second = 1e10, .flops_per_second = 1e11},
                                {.device = "cuda",
                                 .source = "an H100 SXM's data sheet",
                                 .bytes_per_second = 3e12,
                                 .flops_per_second = 6e13}}};
  table.rows = {row("matmul", "naive", Role::rung, 10 * seconds),
                row("matmul", "blocked", Role::rung, 1e-9, 7),
                row("matmul", "packed", Role::production, seconds),
                row("matmul", "eigen", Role::library, 2 * seconds), row("exp", "", Role::only, 3 * seconds)};
  table.rows.back().flops = 0;
  BenchRow simulated = row("softmax", "", Role::only, 1);
  simulated.times.clear();
  simulated.device = "cuda";
  simulated.large_shape = "2048x384";
  simulated.launches = {{.kernel = "softmax_rows<float>",
                         .grid = "16",
                         .block = "128",
                         .registers = 40,
                         .occupancy = 0.75,
                         .counts = BenchLaunch::Counts{.bytes_read = 16384, .bank_conflicts = 5}}};
  table.rows.push_back(simulated);
  return table;
}

bool holds(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("a table of launches is kept and read back") {
  const BenchTable table = example(1e-5);
  const std::string json = to_json(table);
  const BenchTable again = parse_bench_table(json, "again");
  CHECK(to_json(again) == json);
  CHECK(again.rows.back().launches[0].counts->bank_conflicts == 5);
  CHECK(again.rows[3].role == Role::library);
  CHECK(again.ceilings[1].source == "an H100 SXM's data sheet");
}

TEST_CASE("the page has the roofline, the ladders, the tables and the history") {
  const std::string page = bench_page({{"monday", example(1e-5)}, {"tuesday", example(1.2e-5)}}, "");
  for (const char* text : {"id=\"roofline-cpu\"", "<h3>matmul forward</h3>", "style=\"width:", "WRONG",
                           "core/cpu/ladder/naive.cpp", "History", "tuesday", "all 4 rows, geometric mean",
                           "softmax_rows&lt;float&gt;", "16 of 128", "16,384", "an H100 SXM's data sheet",
                           "No time was measured", "a &lt;test&gt;"})
    CHECK_MESSAGE(holds(page, text), text);
  CHECK_FALSE(holds(page, "roofline-cuda"));
  CHECK_FALSE(holds(page, "https:"));
  CHECK_FALSE(holds(bench_page({{"monday", example(1e-5)}}, ""), "History"));
  // 5.2 us of arithmetic in 12, and ten times as fast as the lowest rung.
  CHECK(holds(page, "43.7 %<small> 10 x</small>"));
  CHECK(holds(bench_page({{"monday", example(1e-5)}}, "eigen"), "<small> 2 x</small>"));
}

TEST_CASE("the lowest rung is the baseline, also where it has taken production's place") {
  BenchTable table = example(1e-5);
  const auto baseline = [&] { return baseline_of(table, table.rows[0], "")->technique; };
  CHECK(baseline() == "naive");
  for (BenchRow& row : table.rows) {
    if (row.technique == "naive")
      row.role = Role::production, row.file = "core/cpu/ladder/matmul_1_naive.cpp";
    else if (row.technique == "packed")
      row.role = Role::rung, row.file = "core/cpu/gemm_packed.cpp";
    else if (row.technique == "blocked")
      row.file = "core/cpu/ladder/matmul_3_blocked.cpp";
  }
  CHECK(baseline() == "naive");
}

TEST_CASE("tables of ladders stand between their marks, and nothing else is touched") {
  const std::string before =
      "# Ladders\n<!-- ladder:matmul -->\nold\n<!-- /ladder -->\nbetween\n<!-- ladder:softmax "
      "-->\nkept\n<!-- /ladder -->\nend\n";
  const std::string after = with_ladders(before, "core/cpu/ladder/README.md", example(1e-5));
  CHECK(
      after.starts_with("# Ladders\n<!-- ladder:matmul -->\nmatmul forward of 64x64, 64x64 in f32; "
                        "2026-11-27, a <test>, 2 threads"));
  CHECK(holds(
      after,
      "\n| [naive](naive.cpp) | 100 | 5.2 | 0.5 | 5 % | 1.00 | 0.20 |\n| [blocked](blocked.cpp) | WRONG |"));
  CHECK(holds(after, "\n| [packed](packed.cpp) | 10 | 52.4 | 4.9 | 52 % | 10.00 | 2.00 |\n"));
  CHECK(after.ends_with("<!-- /ladder -->\nbetween\n<!-- ladder:softmax -->\nkept\n<!-- /ladder -->\nend\n"));
  CHECK(with_ladders(after, "core/cpu/ladder/README.md", example(1e-5)) == after);
  CHECK(
      holds(with_ladders(before, "docs/kernels.md", example(1e-5)), "[naive](../core/cpu/ladder/naive.cpp)"));
  CHECK_THROWS_WITH_AS(with_ladders("<!-- ladder:matmul -->\n", "a.md", example(1)),
                       "a.md: there is no <!-- /ladder --> for <!-- ladder:matmul -->", Error);
}

TEST_CASE("of a card's rows there are tables where times are asked for, and of untimed ones none") {
  BenchTable table = example(1e-5);
  for (BenchRow& row : table.rows) {
    row.device = "cuda";
    row.cold_times = row.times;
    row.clock = 2e9;
  }
  table.machine.emplace_back("card", "a card");
  const std::string before =
      "<!-- ladder:matmul -->\ncounts\n<!-- /ladder -->\n<!-- times:matmul -->\n<!-- /times -->\n";
  const std::string after = with_ladders(before, "cuda/ladder/README.md", table);
  CHECK(after.starts_with(
      "<!-- ladder:matmul -->\ncounts\n<!-- /ladder -->\n<!-- times:matmul -->\nmatmul forward of 64x64, "
      "64x64 in f32; 2026-11-27, a card; measured in the same run: copying 3000 GB/s, matrix products 60 "
      "TFLOP/s.\n"));
  CHECK(holds(after, "| 10.0 | 10.0 | 0.1 | 4.9 |"));
  CHECK(after.ends_with("|\n<!-- /times -->\n"));
  CHECK(holds(bench_page({{"monday", table}}, ""), "20000 cycles"));
  for (BenchRow& row : table.rows) row.times.clear();
  CHECK_THROWS_WITH_AS(with_ladders(before, "cuda/ladder/README.md", table),
                       "cuda/ladder/README.md: of none of its ladders there are times here", Error);
}

TEST_CASE("the tables of times in the documents have a date, and versions that there are") {
  const std::filesystem::path project = GALVAN_SOURCE_DIR;
  const auto check_tables = [&](const std::string& document, const std::string& begin_mark,
                                const std::string& end_mark) {
    CAPTURE(document);
    const std::string text = read_text_file(project / document);
    int tables = 0;
    for (size_t begin = text.find(begin_mark); begin != text.npos;
         begin = text.find(begin_mark, begin + 1), ++tables) {
      const std::string table = text.substr(begin, text.find(end_mark, begin) - begin);
      CAPTURE(table);
      const size_t year = table.find("; 20");
      REQUIRE(year != table.npos);
      CHECK(table[year + 6] == '-');
      CHECK(table[year + 9] == '-');
      for (size_t link = table.find("]("); link != table.npos; link = table.find("](", link + 1)) {
        const std::string file = table.substr(link + 2, table.find(')', link) - link - 2);
        CHECK_MESSAGE(std::filesystem::exists(project / std::filesystem::path(document).parent_path() / file),
                      file);
      }
    }
    CHECK(tables > 0);
  };
  check_tables("core/cpu/ladder/README.md", "<!-- ladder:", "<!-- /ladder -->");
  check_tables("cuda/ladder/README.md", "<!-- times:", "<!-- /times -->");
  check_tables("docs/kernels.md", "<!-- times:", "<!-- /times -->");
}

TEST_CASE("bench --html and --write-ladders write files, bench page draws files") {
  const Workplace place;
  write_file_atomically(place.path / "ladders.md", "<!-- ladder:matmul -->\n<!-- /ladder -->\n");
  const Finished measured =
      place.run({"bench", "--filter", "^matmul forward", "--device", "cpu", "--shape", "B=1,T=32,C=24",
                 "--threads", "1", "--json", "a.json", "--html", "a.html", "--write-ladders", "ladders.md"});
  REQUIRE_MESSAGE(measured.code == 0, measured.err);
  CHECK(holds(place.read("a.html"), "<h3>matmul forward</h3>"));
  CHECK(holds(place.read("ladders.md"), "(core/cpu/gemm_eigen.cpp) | "));
  const Finished drawn = place.run({"bench", "page", "a.json", "a.json", "--html", "two.html"});
  REQUIRE_MESSAGE(drawn.code == 0, drawn.err);
  CHECK(holds(place.read("two.html"), "History"));
}
