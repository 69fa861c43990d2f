#include "models/metrics.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "core/check.h"
#include "models/files.h"
#include "tests/models/temporary_directory.h"

using namespace galvan;
using nlohmann::ordered_json;

namespace {

// What is left of a file when a run goes on after `step`.
std::string kept(const std::string& text, int64_t step) {
  TemporaryDirectory directory;
  const auto path = directory.path() / "metrics.jsonl";
  write_file_atomically(path, text);
  { const MetricsFile metrics(path, step); }
  return read_text_file(path);
}

}  // namespace

TEST_CASE("each record is a line, there as soon as it is appended, its keys in their order") {
  TemporaryDirectory directory;
  const auto path = directory.path() / "metrics.jsonl";
  MetricsFile metrics(path, 0);
  CHECK(read_text_file(path) == "");
  metrics.append({{"step", 1}, {"loss", 2.5}, {"a", "\xe2\x82\xac\n"}});
  CHECK(read_text_file(path) == "{\"step\":1,\"loss\":2.5,\"a\":\"\xe2\x82\xac\\n\"}\n");
  metrics.append({{"step", 1}, {"eval_loss", 0.1}});
  metrics.sync();
  CHECK(read_text_file(path).ends_with("\"}\n{\"step\":1,\"eval_loss\":0.1}\n"));
}

TEST_CASE("numbers are read back as they were written, to the last bit") {
  TemporaryDirectory directory;
  const auto path = directory.path() / "metrics.jsonl";
  const double inf = std::numeric_limits<double>::infinity();
  const std::vector<double> values = {0.1,
                                      1.0 / 3,
                                      -0.0,
                                      5e-324,
                                      std::numeric_limits<double>::max(),
                                      static_cast<double>(2.5034f),
                                      std::nextafter(1.0, 2.0),
                                      std::nextafter(1e-4, inf),
                                      12345678901234567.0};
  {
    MetricsFile metrics(path, 0);
    for (double value : values) metrics.append({{"step", 1}, {"value", value}});
  }
  std::istringstream lines(read_text_file(path));
  std::string line;
  for (double value : values) {
    REQUIRE(std::getline(lines, line));
    const double got = ordered_json::parse(line).at("value").get<double>();
    CHECK_MESSAGE(got == value, line);
    CHECK(std::signbit(got) == std::signbit(value));
  }
}

TEST_CASE("going on drops what came after the step") {
  const std::string two = "{\"step\":1}\n{\"step\":2,\"loss\":1}\n{\"step\":2,\"eval_loss\":1}\n";
  const std::string four = two + "{\"step\":3}\n{\"step\":4}\n";
  CHECK(kept(four, 2) == two);
  CHECK(kept(four, 4) == four);
  CHECK(kept(four, 99) == four);
  CHECK(kept(four, 0) == "");
  CHECK(kept("", 2) == "");
}

TEST_CASE("going on drops a last line that a kill cut short") {
  const std::string whole = "{\"step\":1}\n{\"step\":2}\n", next = "{\"step\":3,\"loss\":0.25}\n";
  for (size_t length : {size_t{0}, size_t{1}, size_t{9}, next.size() - 2, next.size() - 1})
    CHECK(kept(whole + next.substr(0, length), 9) == whole);
  CHECK(kept(whole + next, 9) == whole + next);
}

TEST_CASE("going on drops what is no record, and all after it") {
  const std::string good = "{\"step\":1}\n", rest = "\n{\"step\":2}\n";
  for (const std::string& bad :
       {std::string(5, '\0'), std::string("{\"step\":"), std::string("[1]"), std::string("7"),
        std::string("{}"), std::string("{\"step\":1.5}"), std::string("{\"step\":\"1\"}")})
    CHECK_MESSAGE(kept(good + bad + rest, 9) == good, bad);
}

TEST_CASE("appending goes on where the file was cut") {
  TemporaryDirectory directory;
  const auto path = directory.path() / "metrics.jsonl";
  write_file_atomically(path, "{\"step\":1}\n{\"step\":2}\n{\"ste");
  {
    MetricsFile metrics(path, 1);
    metrics.append({{"step", 2}, {"again", true}});
  }
  CHECK(read_text_file(path) == "{\"step\":1}\n{\"step\":2,\"again\":true}\n");
  MetricsFile anew(path, 0);
  anew.append({{"step", 1}});
  CHECK(read_text_file(path) == "{\"step\":1}\n");
}

TEST_CASE("a record without a file to go on with begins one") {
  TemporaryDirectory directory;
  const auto path = directory.path() / "metrics.jsonl";
  MetricsFile metrics(path, 5);
  metrics.append({{"step", 6}});
  CHECK(read_text_file(path) == "{\"step\":6}\n");
  CHECK_THROWS_WITH_AS(MetricsFile(directory.path(), 0),
                       ("cannot write " + directory.path().string() + ": Is a directory").c_str(), Error);
}
