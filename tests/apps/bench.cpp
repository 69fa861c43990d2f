// `galvan bench`: its statistics, its file, and the command.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "apps/bench/table.h"
#include "apps/bench/verdict.h"
#include "tests/apps/command.h"

using namespace galvan;

TEST_CASE("the signed-rank test's chances are SciPy's, and those of counting all signs") {
  // scipy.stats.wilcoxon(..., method='exact')
  CHECK(signed_rank_p(std::vector<double>{0.5, -0.25, 1.5, 2.0, -1.0, 3.0, 0.75, 1.25, -0.125, 2.5}) ==
        doctest::Approx(0.048828125).epsilon(1e-14));
  // With ties; the same by going through all 256 signs.
  CHECK(signed_rank_p(std::vector<double>{1, 1, -1, 2, 2, 3, -3, 4}) ==
        doctest::Approx(0.2421875).epsilon(1e-14));
  CHECK(signed_rank_p(std::vector<double>{1, 2, 3, 4, 5}) == doctest::Approx(2.0 / 32).epsilon(1e-14));
  CHECK(signed_rank_p(std::vector<double>{-5, -4, 0, -3, -2, -1}) ==
        doctest::Approx(2.0 / 32).epsilon(1e-14));
  CHECK(signed_rank_p(std::vector<double>{0, 0}) == 1);
}

TEST_CASE("the rank-sum test's chance is SciPy's") {
  // scipy.stats.mannwhitneyu(..., method='asymptotic')
  const std::vector<double> a = {1.1, 2.3, 2.3, 0.4, 5.0, 3.2, 1.9, 2.8, 4.4},
                            b = {2.3, 3.9, 6.1, 5.5, 4.4, 7.2, 3.3, 2.9};
  CHECK(rank_sum_p(a, b) == doctest::Approx(0.03371476286156357).epsilon(1e-12));
  CHECK(rank_sum_p(b, a) == doctest::Approx(0.03371476286156357).epsilon(1e-12));
  CHECK(rank_sum_p(std::vector<double>(9, 1.0), std::vector<double>(9, 1.0)) == 1);
  CHECK(rank_sum_p(std::vector<double>(7, 1.0), std::vector<double>(9, 2.0)) == 1);
}

TEST_CASE("verdicts of a table: Holm's steps, and how many pairs they need") {
  CHECK(pairs_needed(1, 0.05) == 6);
  CHECK(pairs_needed(40, 0.05) == 11);
  Times faster, still;
  for (int i = 0; i < 11; ++i) {
    faster.old_times.push_back(1.0 + 0.01 * i);
    faster.new_times.push_back(0.8 + 0.01 * i);
    still.old_times.push_back(1.0 + 0.01 * i);
    still.new_times.push_back(i % 2 ? 1.1 : 0.9);
  }
  std::vector<Times> rows(40, still);
  rows[17] = faster;
  const std::vector<Comparison> found = compare_pairs(rows, 0.05);
  for (size_t i = 0; i < found.size(); ++i) CHECK((found[i].verdict == SpeedVerdict::faster) == (i == 17));
  CHECK(found[17].ratio == doctest::Approx(0.85 / 1.05));
  std::swap(rows[17].old_times, rows[17].new_times);
  CHECK(compare_pairs(rows, 0.05)[17].verdict == SpeedVerdict::slower);
  CHECK(pairs_needed(51, 0.05) == 11);
  rows.resize(52, still);  // so many rows ask for a pair more
  CHECK(compare_pairs(rows, 0.05)[17].verdict == SpeedVerdict::cannot_tell);
}

// Of pairs on a machine that drifts: what both of a pair share by a tenth, what is one's own by four parts in a hundred.
std::vector<Times> drifting_table(size_t rows, int pairs, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::normal_distribution<double> normal;
  std::vector<Times> table(rows);
  for (Times& row : table)
    for (int i = 0; i < pairs; ++i) {
      const double shared = 1e-3 * std::exp(0.1 * normal(random));
      row.old_times.push_back(shared * std::exp(0.04 * normal(random)));
      row.new_times.push_back(shared * std::exp(0.04 * normal(random)));
    }
  return table;
}

TEST_CASE("verdicts find a tenth in nine tables of ten, and alarm in one of twenty at most") {
  constexpr size_t kRows = 120;
  constexpr int kTables = 100;
  const int pairs = pairs_needed(kRows, 0.05) + 5;
  int found = 0, alarms = 0;
  for (uint64_t seed = 0; seed < kTables; ++seed) {
    std::vector<Times> table = drifting_table(kRows, pairs, seed);
    const auto told = [](const Comparison& row) { return row.verdict != SpeedVerdict::cannot_tell; };
    const auto unchanged = compare_pairs(table, 0.05);
    alarms += std::any_of(unchanged.begin(), unchanged.end(), told);
    for (double& time : table[seed].new_times) time *= 1.1;
    found += compare_pairs(table, 0.05)[seed].verdict == SpeedVerdict::slower;
  }
  CHECK(found >= 90);
  CHECK(alarms <= 10);  // 5 are to be expected; more than 10 come one time in seventy
}

// A table of --against as it was recorded: of each pair ln(new time / old time), in parts of 10,000.
std::vector<Times> recorded_table(const nlohmann::json& rows) {
  std::vector<Times> table;
  for (const nlohmann::json& row : rows) {
    Times times;
    for (const double logarithm : row) {
      times.old_times.push_back(1);
      times.new_times.push_back(std::exp(1e-4 * logarithm));
    }
    table.push_back(std::move(times));
  }
  return table;
}

// Recorded on two cores: one binary against itself, each table of 40 pairs in two parts; and against one whose softmax
// took a tenth longer, of which the row of softmax is kept.
TEST_CASE(
    "recorded tables: a tenth is found in nine of ten, and one of twenty unchanged ones alarms at most") {
  const nlohmann::json recorded =
      nlohmann::json::parse(read_text_file(GALVAN_SOURCE_DIR "/tests/apps/bench_turns.json"));
  const auto told = [](const Comparison& row) { return row.verdict != SpeedVerdict::cannot_tell; };
  size_t alarms = 0, tables = 0, found = 0, planted = 0;
  for (const nlohmann::json& rows : recorded.at("unchanged")) {
    std::vector<Times> table = recorded_table(rows);
    const auto unchanged = compare_pairs(table, 0.05);
    alarms += std::any_of(unchanged.begin(), unchanged.end(), told);
    ++tables;
    for (size_t row = 0; row < table.size(); ++row) {  // the same weather, and a tenth in one row
      const std::vector<double> before = table[row].new_times;
      for (double& time : table[row].new_times) time *= 1.1;
      found += compare_pairs(table, 0.05)[row].verdict == SpeedVerdict::slower;
      table[row].new_times = before;
      ++planted;
    }
  }
  CHECK(tables >= 16);
  CHECK(20 * alarms <= tables);
  CHECK(10 * found >= 9 * planted);

  size_t slowed = 0;
  for (const Times& row : recorded_table(recorded.at("slowed softmax")))
    slowed += compare_pairs(std::vector<Times>{row}, 0.05 / 6)[0].verdict == SpeedVerdict::slower;
  CHECK(recorded.at("slowed softmax").size() >= 10);
  CHECK(10 * slowed >= 9 * recorded.at("slowed softmax").size());
}

TEST_CASE("bench: a table is measured, kept, and read back") {
  const Workplace place;
  const Finished measured = place.run({"bench", "--filter", "^log_softmax", "--device", "cpu", "--samples",
                                       "8", "--threads", "1", "--json", "new.json"});
  REQUIRE_MESSAGE(measured.code == 0, measured.err);
  CHECK(measured.out.find("softmax") != std::string::npos);
  const BenchTable table = parse_bench_table(place.read("new.json"), "new.json");
  REQUIRE(table.rows.size() == 2);
  CHECK(table.dtype == "f32");
  CHECK(ceilings_of(table, "cpu").bytes_per_second > 1e8);
  CHECK(ceilings_of(table, "cpu").flops_per_second > 1e8);
  CHECK(table.date.size() == 10);
  CHECK(table.machine.at(1).first == "commit");
  CHECK(table.machine.at(1).second.size() >= 9);  // of a hash, or "not known"
  CHECK(table.rows[0].pass == "forward");
  CHECK(table.rows[0].times.size() == 8);
  CHECK(table.rows[0].bytes > 0);
  CHECK(table.rows[0].error <= 1);
  CHECK(floor_of(table.rows[0], table).seconds > 0);
  CHECK(measured.out.find(floor_of(table.rows[0], table).bound) != std::string::npos);
  CHECK(table.rows[1].pass == "forward and backward");
  CHECK(to_json(table) == place.read("new.json"));
  BenchTable wrong = table;
  wrong.rows[0].error = INFINITY;
  CHECK(parse_bench_table(to_json(wrong), "wrong").rows[0].error == INFINITY);
}

TEST_CASE("bench compare finds what became slower, and says so with its exit code") {
  const Workplace place;
  BenchTable table{.machine = {{"threads", "2"}}, .dtype = "f32"};
  for (const char* op : {"add", "exp", "softmax"}) {
    BenchRow row{.kernel = op, .pass = "forward", .shape = "8x8"};
    for (int i = 0; i < 20; ++i) row.times.push_back(1e-5 * (1 + 0.01 * (i * 7 % 20)));
    table.rows.push_back(row);
  }
  write_file_atomically(place.path / "old.json", to_json(table));
  table.machine = {{"threads", "4"}};
  for (double& time : table.rows[1].times) time *= 1.3;
  table.rows.push_back({.kernel = "tanh", .pass = "forward", .shape = "8x8", .times = {1e-5}});
  write_file_atomically(place.path / "new.json", to_json(table));

  const Finished slower = place.run({"bench", "compare", "old.json", "new.json"});
  CHECK(slower.code == 3);
  CHECK(slower.out.find("threads: old 2, new 4\n") != std::string::npos);
  CHECK(slower.out.find("1 rows stand in one of the two alone") != std::string::npos);
  CHECK(slower.out.find("0 faster, 1 slower, 2 that can't be told apart.\n") != std::string::npos);
  const Finished faster = place.run({"bench", "compare", "new.json", "old.json"});
  CHECK(faster.code == 0);
  CHECK(faster.out.find("1 faster, 0 slower, 2 that can't be told apart.\n") != std::string::npos);
  const Finished same = place.run({"bench", "compare", "old.json", "old.json"});
  CHECK(same.code == 0);
  CHECK(same.out.find("0 faster, 0 slower, 3 that can't be told apart.\n") != std::string::npos);
}

TEST_CASE("where medians and ranks disagree there is no verdict") {
  Times row;
  for (int i = 0; i < 30; ++i) {
    row.old_times.push_back(i < 14 ? 1e-3 : 2e-3);
    row.new_times.push_back(i < 16 ? 1.9e-3 : 3e-3);
  }
  const Comparison c = compare_samples(std::vector<Times>{row}, 0.05)[0];
  CHECK(c.ratio == doctest::Approx(0.95));
  CHECK(c.p < 0.05);
  CHECK(c.sign == 1);
  CHECK(c.verdict == SpeedVerdict::cannot_tell);
}

TEST_CASE("a card that ran at another clock is no verdict on its kernels") {
  Times row;
  for (int i = 0; i < 20; ++i) {
    row.old_times.push_back(1e-5 * (1 + 0.01 * i));
    row.new_times.push_back(0.8 * row.old_times.back());
  }
  const auto verdict = [&](double old_clock, double new_clock) {
    row.old_clock = old_clock;
    row.new_clock = new_clock;
    return compare_samples(std::vector<Times>{row}, 0.05)[0].verdict;
  };
  CHECK(verdict(0, 0) == SpeedVerdict::faster);
  CHECK(verdict(0, 1.98e9) == SpeedVerdict::faster);
  CHECK(verdict(1.98e9, 1.98e9) == SpeedVerdict::faster);
  CHECK(verdict(1.584e9, 1.98e9) == SpeedVerdict::cannot_tell);  // as many cycles
  CHECK(verdict(1.2e9, 1.98e9) == SpeedVerdict::cannot_tell);    // more of them
  CHECK(verdict(1.98e9, 1.2e9) == SpeedVerdict::faster);
}

TEST_CASE("bench: mistakes are named") {
  const Workplace place;
  const auto refused = [&](const std::vector<std::string>& arguments, int code, const std::string& message) {
    const Finished got = place.run(arguments);
    CHECK(got.code == code);
    CHECK_MESSAGE(got.err.find(message) != std::string::npos, got.err);
  };
  refused({"bench", "compare", "one.json"}, 2,
          "bench takes no arguments but `compare OLD.json NEW.json` and `page FILES.json`");
  refused({"bench", "compare", "no.json", "no.json"}, 1, "no.json");
  refused({"bench", "compare", "text.txt", "text.txt"}, 1, "text.txt: not a file of galvan bench: ");
  refused({"bench", "compare", "a.json", "b.json", "--dtype", "f32"}, 2, "--dtype does nothing with files");
  refused({"bench", "page", "a.json"}, 2,
          "bench page needs FILES.json and --html FILE or --write-ladders FILE");
  refused({"bench", "--pairs", "3"}, 2, "--pairs does nothing with one build");
  refused({"bench", "--against", "x", "--samples", "3"}, 2, "--samples does nothing with --against");
#ifndef GALVAN_CUDA
  refused({"bench", "--against", "x", "--device", "cuda"}, 1,
          "bench: --against takes times, and a card has none here: this build has no CUDA");
#endif
  refused({"bench", "--filter", "^softmax", "--baseline", "nosuch"}, 2,
          "--baseline: no kernel of these rows has a version 'nosuch'");
  refused({"bench", "--filter", "^softmax", "--json", "/dev/null/a.json"}, 1, "/dev/null is not a folder");
  refused({"bench", "--filter", "^softmax", "--json", "a", "--html", "a"}, 2,
          "--json and --html name the same file");
  refused({"bench", "compare", "a.json", "b.json", "--write-ladders", "c.md"}, 2,
          "--write-ladders does nothing with compare");
  refused({"bench", "--shape", "B=64,X=2"}, 1,
          "--shape: expected sizes of B, T, C, H, V such as B=64,T=1024, got 'X=2'");
  refused({"bench", "--shape", "C=100"}, 1, "--shape: C 100 is not an even number for each of H 6 heads");
  refused({"bench", "--filter", "("}, 1, "--filter: '(' is not a regular expression");
  refused({"bench", "--filter", "nothing-has-this"}, 1, "is found by 'nothing-has-this'");
  refused({"bench", "--filter", "^exp", "--against", "/no/such/galvan"}, 1,
          "bench: /no/such/galvan does not answer");
}

TEST_CASE("bench --against runs two builds in turn") {
  const Workplace place;
  const Finished turns = place.run({"bench", "--filter", "^log_softmax forward$", "--json", "turns.json",
                                    "--threads", "1", "--against", command_under_test(), "--pairs", "2"});
  CHECK_MESSAGE(turns.code == 0, turns.err);
  CHECK(turns.out.find("2 pairs are too few for a verdict on 1 rows: that takes 6.\n") != std::string::npos);
  CHECK(turns.out.find("0 faster, 0 slower, 1 that can't be told apart.\n") != std::string::npos);
  CHECK(turns.err == "pair 1 of 2\npair 2 of 2\n");
  const nlohmann::json kept = nlohmann::json::parse(place.read("turns.json"));
  CHECK(kept.at("rows").at(0).at("row") == "log_softmax forward (2048x384)");
  CHECK(kept.at("rows").at(0).at("old").size() == 2);
  CHECK(kept.at("rows").at(0).at("new").size() == 2);
}
