// Reports: what is drawn, what is told, and that no text breaks the page.
#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <regex>

#include "apps/report/figure.h"
#include "apps/report/range_page.h"
#include "apps/report/run_page.h"
#include "apps/report/trial_map.h"
#include "models/files.h"
#include "tests/apps/command.h"
#include "tests/apps/report_examples.h"

using namespace galvan;
using namespace galvan::report;

namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
int count(const std::string& text, const std::string& part) {
  int n = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++n;
  return n;
}

// Nothing that the page shows has become markup, and nothing is loaded from elsewhere.
void check_page(const std::string& html) {
  CHECK(html.find("<script>") == std::string::npos);
  CHECK(html.find("alert(1)</script>") == std::string::npos);
  CHECK(count(html, "<script") == count(html, "</script>"));
  CHECK_FALSE(std::regex_search(html, std::regex("(src|href)=|@import|url\\((?!#)")));
}

}  // namespace

TEST_CASE("thinning keeps the range of what it drops") {
  std::vector<double> x, y;
  for (int i = 0; i < 10000; ++i)
    x.push_back(i), y.push_back(i == 4321 ? 99 : i == 8000 ? kNan : std::sin(i));
  const Curve curve = thinned(x, y, 100);
  REQUIRE(curve.x.size() == 100);
  CHECK(*std::max_element(curve.high.begin(), curve.high.end()) == 99);
  CHECK(curve.high[43] == 99);
  for (size_t i = 0; i < 100; ++i) {
    CHECK(curve.low[i] <= curve.y[i]);
    CHECK(curve.y[i] <= curve.high[i]);
    CHECK(curve.y[i] == doctest::Approx(i == 43 ? 1 : 0).epsilon(0.1));
  }
  const Curve few = thinned({1, 2, 3}, {5, kNan, 7}, 100);
  CHECK(few.x == std::vector<double>{1, 3});
  CHECK(few.low.empty());
}

TEST_CASE("a schedule is drawn by its corners") {
  const RunMetrics m = example_metrics(1000);
  const Curve curve = pieces(m.step, m.lr);
  CHECK(curve.x.size() == 21);
  CHECK(curve.x[1] == doctest::Approx(51));
  CHECK(curve.y[1] == doctest::Approx(0.101));
  CHECK(pieces({}, {}).x.empty());
  CHECK(pieces({1}, {0.1}).y == std::vector<double>{0.1});
}

TEST_CASE("cycles end where the learning rate is lowest") {
  const RunMetrics m = example_metrics(1000);
  CHECK(visible_cycle_ends(m.step, m.lr) == std::vector<double>{100, 200, 300, 400, 500, 600, 700, 800, 900});
  CHECK(visible_cycle_ends({1, 2, 3, 4}, {1, 2, 3, 2}).empty());  // warm-up is no cycle
  CHECK(visible_cycle_ends({1, 2, 3}, {1, 1, 1}).empty());
  CHECK(visible_cycle_ends({}, {}).empty());
}

TEST_CASE("a page holds any text, and no more than what it shows") {
  const Run run = example_run(300);
  const std::string html = run_page({run});
  check_page(html);
  CHECK(html.find("&lt;/script&gt;") != std::string::npos);
  CHECK(html.find("\nsecond line</pre>") != std::string::npos);
  for (const char* text : {"Best validation loss", "at step 300", "Learning rate", "cycle 2", "Gradient norm",
                           "clipped to 1", "Gradient norm by layer", "</i>embedding", "Throughput",
                           "What the model wrote", "validation loss 0.6657", "<th>clip</th>"})
    CHECK_MESSAGE(html.find(text) != std::string::npos, text);
  CHECK(run_page({run}) == html);

  Run other = run;
  other.name = "other";
  other.options[2].second = 2.0;
  const std::string both = run_page({run, other});
  check_page(both);
  CHECK(both.find(
            "<tr class=\"differs\"><th>clip</th><td class=\"wrap\">1.0</td><td class=\"wrap\">2.0</td>") !=
        std::string::npos);
  CHECK(both.find("clipped to") == std::string::npos);
  CHECK(both.find("other, validation") != std::string::npos);
}

TEST_CASE("the report of a million steps stays small") {
  const Run run = example_run(1'000'000);
  const std::string html = run_page({run});
  CHECK(html.size() < 1'000'000);
  CHECK(html.find(",50.0") != std::string::npos);  // the spike of one step
}

TEST_CASE("a study's page shows every trial") {
  const StudyData s = example_study();
  const std::string html = study_page(s);
  check_page(html);
  CHECK(count(html, "class=\"trial v") == 19);  // one has no value
  CHECK(count(html, "data-pair=") == 3);
  CHECK(html.find("trial 10") != std::string::npos);
  for (const char* text :
       {"best so far", "the best, trial 10", "pruned, diverged or failed there", "out of memory", "absent"})
    CHECK_MESSAGE(html.find(text) != std::string::npos, text);
  check_page(study_page({.name = "empty", .metric = "loss", .parameters = {{.name = "lr"}}}));

  // What was pruned had a good value after few steps; the best is one that finished.
  const StudyData two{
      .name = "two",
      .metric = "loss",
      .trials = {{.number = 0, .state = TrialState::finished, .value = 2, .steps = {1}, .values = {2}},
                 {.number = 1, .state = TrialState::pruned, .value = 1, .steps = {1}, .values = {1}}}};
  CHECK(study_page(two).find("the best, trial 0") != std::string::npos);

  const auto good = goodness(s);
  CHECK(good[10] == 1.0);
  CHECK(good[0] == 0.0);
  CHECK_FALSE(good[3]);
  CHECK(by_sway(s)[2] == 1);  // which choice it is matters least here
}

TEST_CASE("a page of range tests says what was found, and where nothing was") {
  RangeFolder found = example_range_tests();
  const std::string html = range_page(found);
  check_page(html);
  for (const char* text :
       {"Highest learning rate</dt><dd>0.5<", "Lowest learning rate</dt><dd>0.1<", "<th>is steepest</th><td>",
        "cut off where one runs away", "median of 2 seeds", "\"ragged\"]", "id=\"lr\"", "in 4 steps"})
    CHECK_MESSAGE(html.find(text) != std::string::npos, text);
  CHECK(html.find("id=\"momentum\"") == std::string::npos);  // the schedule leaves it alone
  CHECK(html.find(",inf") == std::string::npos);

  found.schedule.reset();
  found.tests.resize(1);
  found.tests[0].found = {};
  found.tests[0].seeds = {1};
  const std::string nothing = range_page(found);
  check_page(nothing);
  CHECK(nothing.find("No schedule came of it") != std::string::npos);
  CHECK(nothing.find("nowhere in the test") != std::string::npos);
}

TEST_CASE("train leaves a report, and report makes one of several runs") {
  const Workplace place;
  REQUIRE(place.run(Workplace::train("first")).code == 0);
  const Finished second = place.run(Workplace::train("second", {"--no-report", "--lr", "0.01"}));
  REQUIRE(second.code == 0);
  CHECK_FALSE(place.has("second/report.html"));
  const std::string html = place.read("first/report.html");
  for (const char* layer : {"Gradient norm by layer", "blocks.1"})
    CHECK_MESSAGE(html.find(layer) != std::string::npos, layer);
  check_page(html);
  for (const char* text : {"Run first", "galvan train --data text.txt", "processor", "Step 12", "compiler"})
    CHECK_MESSAGE(html.find(text) != std::string::npos, text);

  Finished report = place.run({"report", "first", "second", "--html", "both.html"});
  CHECK(report.err == "");
  CHECK(report.code == 0);
  CHECK(place.read("both.html").find("Runs first, second") != std::string::npos);

  CHECK(place.run({"report"}).code == 2);
  report = place.run({"report", "nowhere"});
  CHECK(report.code == 1);
  CHECK(report.err == "galvan: nowhere holds no run: there is no metrics.jsonl\n");
}

TEST_CASE("a report says which lines of a run's record it cannot read") {
  const Workplace place;
  REQUIRE(place.run(Workplace::train("run", {"--no-report"})).code == 0);
  const std::string record = place.read("run/metrics.jsonl");
  const size_t second = record.find('\n') + 1;
  const auto report_of = [&](const std::string& text) {
    write_file_atomically(place.path / "run/metrics.jsonl", text);
    return place.run({"report", "run"});
  };
  CHECK(report_of(record + "{\"step\": 1").err == "");  // a line that is being written
  Finished report = report_of(record.substr(0, second) + "{\"st\n" + record.substr(second));
  CHECK(report.err == "galvan: warning: run/metrics.jsonl:2 is no record; lines left out: 1\n");
  CHECK(report.code == 0);
  check_page(place.read("run/report.html"));
  report = report_of("\n7\n" + record);
  CHECK(report.err == "galvan: warning: run/metrics.jsonl:1 is no record; lines left out: 2\n");
}

TEST_CASE("a report that cannot be written is a warning") {
  const Workplace place;
  std::filesystem::create_directories(place.path / "run/report.html");
  const Finished run = place.run(Workplace::train("run"));
  CHECK(run.code == 0);
  CHECK(run.err.find("galvan: warning: there is no report: ") == 0);
  CHECK(run.out.find("Finished after 12 steps") != std::string::npos);
}

TEST_CASE("tune leaves the report of its study") {
  const Workplace place;
  write_file_atomically(
      place.path / "study.toml",
      "sampler = \"grid\"\n[fixed]\ndata = \"text.txt\"\nlayers = 1\nwidth = 32\ncontext = 16\n"
      "batch-size = 4\neval-every = 4\nsteps = 12\n[vary]\nlr = { log-uniform = [1e-3, 1e-2], points = 2 }\n"
      "optimizer = { choice = [\"sgd\", \"adamw\"] }\n");
  const Finished tuned = place.run({"tune", "study.toml", "--out", "study"});
  REQUIRE_MESSAGE(tuned.code == 0, tuned.err);
  CHECK(tuned.err == "");
  const std::string html = place.read("study/report.html");
  check_page(html);
  CHECK(count(html, "class=\"trial v") == 4);
  CHECK(html.find("\"name\":\"best so far\"") != std::string::npos);
  CHECK(html.find("galvan train --config study/trials/") != std::string::npos);
  CHECK(count(html, "data-pair=") == 1);

  CHECK(place.run({"report", "study", "--html", "again.html"}).code == 0);
  CHECK(place.read("again.html").find("Study study") != std::string::npos);
  CHECK(place.run({"report", "study", "study/trials/0"}).code == 2);
}
