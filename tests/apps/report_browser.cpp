// Reports in a browser: their script runs without an error, and draws. Where there is no chromium these tests say so;
// scripts/install-dependencies --checks installs it.
#include <doctest/doctest.h>

#include <cmath>
#include <cstdlib>

#include "apps/report/range_page.h"
#include "apps/report/run_page.h"
#include "tests/apps/command.h"
#include "tests/apps/report_examples.h"

using namespace galvan;

namespace {

bool has_browser() { return std::system("command -v chromium >/dev/null 2>&1") == 0; }

struct Opened {
  std::string page;      // as its script has left it
  std::string messages;  // of the console
};

Opened open(const std::string& html) {
  const TemporaryDirectory directory;
  const std::string folder = directory.path().string();
  write_file_atomically(directory.path() / "report.html", html);
  const std::string command =
      "cd " + folder +
      " && chromium --headless --no-sandbox --disable-gpu --no-first-run"
      " --disable-extensions --disable-background-networking --user-data-dir=" +
      folder + "/profile --enable-logging=stderr --virtual-time-budget=5000 --dump-dom file://" + folder +
      "/report.html >page 2>messages";
  REQUIRE(std::system(command.c_str()) == 0);
  return {read_text_file(directory.path() / "page"), read_text_file(directory.path() / "messages")};
}

void check_drawn(const Opened& opened) {
  CHECK(opened.page.find("<html lang=\"en\" class=\"scripted\">") != std::string::npos);
  CHECK(opened.page.find("class=\"curve") != std::string::npos);
  const std::string drawn = opened.page.substr(0, opened.page.find("id=\"clocks\""));
  CHECK(drawn.find("NaN") == std::string::npos);
  CHECK(drawn.find("Infinity") == std::string::npos);
  CHECK_MESSAGE(opened.messages.find("CONSOLE") == std::string::npos, opened.messages);
}

}  // namespace

TEST_CASE("the reports of runs open without an error") {
  if (!has_browser()) {
    MESSAGE("there is no chromium; not tested");
    return;
  }
  Opened opened = open(report::run_page({report::example_run(1000)}));
  check_drawn(opened);
  for (const char* text : {"cycle 2", "clipped to 1", "time</label>", "second line"})
    CHECK_MESSAGE(opened.page.find(text) != std::string::npos, text);
  report::Run one_step = report::example_run(1);
  check_drawn(open(report::run_page({one_step, report::example_run(20'000)})));
}

TEST_CASE("the report of a study opens without an error") {
  if (!has_browser()) return;
  const Opened opened = open(report::study_page(report::example_study()));
  check_drawn(opened);
  CHECK(opened.page.find("class=\"spot\"") != std::string::npos);
  CHECK(opened.page.find("hidden=\"\"") != std::string::npos);  // all contours but the one that is chosen
}

TEST_CASE("the report of range tests opens without an error") {
  if (!has_browser()) return;
  report::RangeFolder found = report::example_range_tests();
  const Opened opened = open(report::range_page(found));
  check_drawn(opened);
  for (const char* text : {">starts</text>", ">ragged</text>", "class=\"band\""})
    CHECK_MESSAGE(opened.page.find(text) != std::string::npos, text);

  found.tests.resize(1);  // in which everything diverges at once
  found.tests[0].band = {.diverges = 1e-4};
  found.tests[0].found = analyse(found.tests[0].band);
  check_drawn(open(report::range_page(found)));
}

TEST_CASE("the report of a study in which no trial has a value opens without an error") {
  if (!has_browser()) return;
  const Opened opened =
      open(report::study_page({.name = "none",
                               .metric = "loss",
                               .parameters = {{.name = "lr", .logarithmic = true}},
                               .trials = {{.state = TrialState::failed, .parameters = {1e-3}}}}));
  CHECK(opened.page.substr(0, opened.page.find("id=\"clocks\"")).find("NaN") == std::string::npos);
  CHECK_MESSAGE(opened.messages.find("CONSOLE") == std::string::npos, opened.messages);
}

TEST_CASE("a script that fails is noticed") {
  if (!has_browser()) return;
  CHECK(open("<!DOCTYPE html><script>nothing.at.all()</script>").messages.find("CONSOLE") !=
        std::string::npos);
}
