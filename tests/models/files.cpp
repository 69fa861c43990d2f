#include "models/files.h"

#include <doctest/doctest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <string>

#include "core/check.h"
#include "tests/models/temporary_directory.h"

using namespace galvan;
namespace fs = std::filesystem;

namespace {

int entries(const fs::path& directory) {
  return static_cast<int>(std::distance(fs::directory_iterator(directory), fs::directory_iterator()));
}

// While it lives no file of this process can grow beyond `bytes`: a disk that is full.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) : handler_(std::signal(SIGXFSZ, SIG_IGN)) {
    getrlimit(RLIMIT_FSIZE, &old_);
    const rlimit limit{bytes, old_.rlim_max};
    setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileSizeLimit() {
    setrlimit(RLIMIT_FSIZE, &old_);
    std::signal(SIGXFSZ, handler_);
  }

 private:
  rlimit old_;
  void (*handler_)(int);
};

}  // namespace

TEST_CASE("files: what is written is read back, and replaces what was there") {
  TemporaryDirectory directory;
  const fs::path path = directory.path() / "a.bin";
  const std::string odd("\0\xff\n\r\0x", 6);
  for (const std::string& bytes : {odd, std::string(), std::string(100'003, 'z')}) {
    write_file_atomically(path, bytes);
    CHECK(read_text_file(path) == bytes);
    CHECK(MappedFile(path).text() == bytes);
    CHECK(entries(directory.path()) == 1);
  }
}

TEST_CASE("files: an atomic file in pieces appears at commit, and never without") {
  TemporaryDirectory directory;
  const fs::path path = directory.path() / "a";
  write_file_atomically(path, "old");
  {
    AtomicFile file(path);
    file.write("never ");
    file.write("seen");
    CHECK(read_text_file(path) == "old");
  }
  CHECK(read_text_file(path) == "old");
  CHECK(entries(directory.path()) == 1);

  AtomicFile file(path);
  file.write("ne");
  file.write("w");
  file.commit();
  CHECK(read_text_file(path) == "new");
  CHECK(entries(directory.path()) == 1);
}

TEST_CASE("files: a write that fails half way leaves the old file and no litter") {
  TemporaryDirectory directory;
  const fs::path path = directory.path() / "a";
  write_file_atomically(path, "old");
  {
    FileSizeLimit limit(1000);
    CHECK_THROWS_WITH_AS(write_file_atomically(path, std::string(5000, 'x')),
                         ("cannot write " + path.string() + ": File too large").c_str(), Error);
  }
  CHECK(read_text_file(path) == "old");
  CHECK(entries(directory.path()) == 1);
}

TEST_CASE("files: an atomic write keeps the file's permissions and follows links") {
  TemporaryDirectory directory;
  const fs::path path = directory.path() / "a", link = directory.path() / "link";
  write_file_atomically(path, "old");
  fs::permissions(path, fs::perms::owner_read | fs::perms::owner_write);
  fs::create_symlink("a", link);
  write_file_atomically(link, "new");
  CHECK(fs::is_symlink(link));
  CHECK(read_text_file(path) == "new");
  CHECK(fs::status(path).permissions() == (fs::perms::owner_read | fs::perms::owner_write));

  fs::create_symlink("absent", directory.path() / "to absent");
  write_file_atomically(directory.path() / "to absent", "x");
  CHECK(read_text_file(directory.path() / "absent") == "x");
  fs::create_symlink("loop", directory.path() / "loop");
  CHECK_THROWS_AS(write_file_atomically(directory.path() / "loop", "x"), Error);
}

TEST_CASE("files: errors name the file and the reason") {
  TemporaryDirectory directory;
  const std::string here = directory.path().string(), absent = here + "/absent", pipe = here + "/pipe";
  CHECK_THROWS_WITH_AS(read_text_file(absent),
                       ("cannot read " + absent + ": No such file or directory").c_str(), Error);
  CHECK_THROWS_WITH_AS(MappedFile{absent}, ("cannot read " + absent + ": No such file or directory").c_str(),
                       Error);
  CHECK_THROWS_WITH_AS(read_text_file(here), ("cannot read " + here + ": Is a directory").c_str(), Error);
  CHECK_THROWS_WITH_AS(MappedFile{here}, ("cannot read " + here + ": Is a directory").c_str(), Error);
  CHECK_THROWS_WITH_AS(write_file_atomically(here, ""), ("cannot write " + here + ": Is a directory").c_str(),
                       Error);
  CHECK_THROWS_WITH_AS(write_file_atomically(absent + "/a", ""),
                       ("cannot write " + absent + "/a: No such file or directory").c_str(), Error);
  CHECK_THROWS_WITH_AS(write_file_atomically("/dev/null", ""), "cannot write /dev/null: not a regular file",
                       Error);
  CHECK_THROWS_WITH_AS(sync_directory(absent),
                       ("cannot sync " + absent + ": No such file or directory").c_str(), Error);
  REQUIRE(mkfifo(pipe.c_str(), 0600) == 0);
  CHECK_THROWS_WITH_AS(MappedFile{pipe}, ("cannot read " + pipe + ": not a regular file").c_str(), Error);
  CHECK_THROWS_WITH_AS(read_text_file("/dev/null"), "cannot read /dev/null: it is a device", Error);
}

TEST_CASE("files: a symbolic link is switched in place") {
  TemporaryDirectory directory;
  const fs::path link = directory.path() / "latest";
  switch_symlink(link, "step-1");
  CHECK(fs::read_symlink(link) == "step-1");
  switch_symlink(link, "step-2");
  CHECK(fs::read_symlink(link) == "step-2");
  CHECK(entries(directory.path()) == 1);

  const fs::path file = directory.path() / "file";
  write_file_atomically(file, "x");
  CHECK_THROWS_WITH_AS(switch_symlink(file, "step-1"),
                       ("cannot write " + file.string() + ": not a symbolic link").c_str(), Error);
  CHECK(read_text_file(file) == "x");
}

TEST_CASE("files: directories are created with their parents") {
  TemporaryDirectory directory;
  const fs::path deep = directory.path() / "a" / "b" / "c";
  make_directories(deep);
  make_directories(deep);
  make_directories(deep.string() + "/d/");
  CHECK(fs::is_directory(deep / "d"));
  write_file_atomically(deep / "file", "x");
  CHECK_THROWS_WITH_AS(make_directories(deep / "file" / "e"),
                       ("cannot create " + (deep / "file").string() + ": File exists").c_str(), Error);
}

TEST_CASE("files: a mapping moves") {
  TemporaryDirectory directory;
  write_file_atomically(directory.path() / "a", "abc");
  MappedFile a(directory.path() / "a");
  MappedFile b(std::move(a));
  CHECK(a.size() == 0);
  CHECK(b.text() == "abc");
  b = MappedFile();
  CHECK(b.bytes().empty());
}
