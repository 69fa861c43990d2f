// TensorBoard's event files: equal to those of TensorBoard's own writer, and what a run and its resumption write.
#include "apps/tensorboard.h"

#include <doctest/doctest.h>

#include "tests/apps/command.h"

using namespace galvan;

namespace {

std::vector<std::filesystem::path> event_files(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace

TEST_CASE("an event file is what TensorBoard's own writer makes") {
  const TemporaryDirectory directory;
  std::filesystem::path path;
  {
    EventWriter writer(directory.path() / "events", 8, [] { return 1'700'000'000.25; });
    path = writer.path();
    writer.add(9, {{"loss/training", 2.3125}, {"learning rate", 1e-3}});
    writer.add(300, {{"loss/validation", -1.5e-7}});
    std::string tag;
    for (int i = 0; i < 3; ++i) tag += "a tag of more than one hundred and twenty-seven bytes ";
    writer.add(5'000'000'000, {{tag, 1e30}});
  }
  CHECK(path.filename() == "events.out.tfevents.1700000000.galvan");
  CHECK(read_text_file(path) == read_text_file(GALVAN_SOURCE_DIR "/tests/golden/tensorboard.tfevents"));
  // A second file within the same second comes after it.
  const EventWriter next(directory.path() / "events", 0, [] { return 1'700'000'000.5; });
  CHECK(next.path().filename() == "events.out.tfevents.1700000001.galvan");
}

TEST_CASE("a run writes events, and its resumption a file of its own") {
  const Workplace place;
  REQUIRE(place.run(Workplace::train("run", {"--tensorboard"})).code == 0);
  REQUIRE(place.run({"train", "--out", "run", "--resume", "--steps", "15"}).code == 0);
  const auto files = event_files(place.path / "run/tensorboard");
  REQUIRE(files.size() == 2);
  const std::string first = read_text_file(files[0]), second = read_text_file(files[1]);
  for (const char* tag : {"loss/training", "loss/validation", "learning rate", "momentum", "gradient norm"})
    CHECK_MESSAGE(first.find(tag) != std::string::npos, tag);
  // The second begins with its version and with a SessionLog of START before step 13.
  const std::string start = std::string("\x10\x0d\x3a\x02\x08\x01", 6);
  CHECK(second.find(start) != std::string::npos);
  CHECK(first.find("\x3a\x02\x08\x01") == std::string::npos);
}
