#include "models/files.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <system_error>
#include <utility>

#include "core/check.h"

namespace galvan {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void cannot(const char* verb, const fs::path& path, int error) {
  fail("cannot ", verb, " ", path.string(), ": ", std::generic_category().message(error));
}

[[noreturn]] void cannot(const char* verb, const fs::path& path, const char* why) {
  fail("cannot ", verb, " ", path.string(), ": ", why);
}

// Closes a descriptor when the scope is left.
struct Descriptor {
  int fd;
  ~Descriptor() {
    if (fd >= 0) ::close(fd);
  }
};

int open_retrying(const fs::path& path, int flags, mode_t mode = 0) {
  int fd;
  do {
    fd = ::open(path.c_str(), flags | O_CLOEXEC, mode);
  } while (fd < 0 && errno == EINTR);
  return fd;
}

fs::path directory_of(const fs::path& path) {
  return path.has_parent_path() ? path.parent_path() : fs::path(".");
}

// A name beside `path` that this process has not used before.
fs::path name_aside(const fs::path& path) {
  static std::atomic<int> count = 0;
  return path.string() + "." + std::to_string(::getpid()) + "-" + std::to_string(count++) + ".partial";
}

// Where a write to `path` has to go: through symbolic links, also one that points at nothing yet.
fs::path follow_links(fs::path path) {
  constexpr int kMostLinks = 40;  // Linux's own limit
  for (int links = 0; links < kMostLinks; ++links) {
    std::error_code error;
    if (!fs::is_symlink(fs::symlink_status(path, error))) return path;
    const fs::path target = fs::read_symlink(path, error);
    if (error) cannot("write", path, error.value());
    path = directory_of(path) / target;  // an absolute target replaces the directory
  }
  cannot("write", path, ELOOP);
}

}  // namespace

std::string read_text_file(const fs::path& path) {
  const Descriptor file{open_retrying(path, O_RDONLY)};
  struct stat status;
  if (file.fd < 0 || ::fstat(file.fd, &status) != 0) cannot("read", path, errno);
  if (S_ISDIR(status.st_mode)) cannot("read", path, EISDIR);
  if (S_ISCHR(status.st_mode) || S_ISBLK(status.st_mode)) cannot("read", path, "it is a device");

  constexpr size_t kChunk = 1 << 16;
  std::string text;
  size_t size = 0;
  for (;;) {
    // One byte more than the file has, so that the end is seen without growing.
    if (size == text.size())
      text.resize(std::max({static_cast<size_t>(status.st_size) + 1, 2 * size, kChunk}));
    const ssize_t got = ::read(file.fd, text.data() + size, text.size() - size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) cannot("read", path, errno);
    if (got == 0) break;
    size += static_cast<size_t>(got);
  }
  text.resize(size);
  return text;
}

void write_all(int file, std::string_view bytes, const fs::path& path) {
  while (!bytes.empty()) {
    const ssize_t done = ::write(file, bytes.data(), bytes.size());
    if (done < 0 && errno == EINTR) continue;
    if (done < 0) cannot("write", path, errno);
    bytes.remove_prefix(static_cast<size_t>(done));
  }
}

void append_to_file(const fs::path& path, std::string_view bytes) {
  const int file = open_retrying(path, O_WRONLY | O_APPEND | O_CREAT, 0666);
  if (file < 0) cannot("write", path, errno);
  try {
    write_all(file, bytes, path);
  } catch (...) {
    ::close(file);
    throw;
  }
  ::close(file);
}

void write_file_atomically(const fs::path& path, std::string_view bytes) {
  AtomicFile file(path);
  file.write(bytes);
  file.commit();
}

AtomicFile::AtomicFile(const fs::path& path) : path_(follow_links(path)) {
  struct stat status;
  const bool exists = ::stat(path_.c_str(), &status) == 0;
  if (exists && S_ISDIR(status.st_mode)) cannot("write", path, EISDIR);
  if (exists && !S_ISREG(status.st_mode)) cannot("write", path, "not a regular file");
  do {
    aside_ = name_aside(path_);
    file_ = open_retrying(aside_, O_WRONLY | O_CREAT | O_EXCL, exists ? status.st_mode & 0777 : 0666);
  } while (file_ < 0 && errno == EEXIST);  // left by a killed process of the same number
  if (file_ < 0) cannot("write", path, errno);
}

AtomicFile::~AtomicFile() {
  if (file_ < 0) return;
  ::close(file_);
  ::unlink(aside_.c_str());
}

void AtomicFile::write(const void* data, size_t bytes) {
  write_all(file_, {static_cast<const char*>(data), bytes}, path_);
}

void AtomicFile::commit() {
  if (::fsync(file_) != 0) cannot("write", path_, errno);
  if (::rename(aside_.c_str(), path_.c_str()) != 0) cannot("write", path_, errno);
  ::close(std::exchange(file_, -1));
  sync_directory(directory_of(path_));
}

void switch_symlink(const fs::path& link, const fs::path& target) {
  struct stat status;
  if (::lstat(link.c_str(), &status) == 0 && !S_ISLNK(status.st_mode))
    cannot("write", link, "not a symbolic link");
  fs::path aside;
  do {
    aside = name_aside(link);
  } while (::symlink(target.c_str(), aside.c_str()) != 0 && errno == EEXIST);
  if (::rename(aside.c_str(), link.c_str()) != 0) {
    const int error = errno;
    ::unlink(aside.c_str());
    cannot("write", link, error);
  }
  sync_directory(directory_of(link));
}

void sync_directory(const fs::path& path) {
  const Descriptor directory{open_retrying(path, O_RDONLY | O_DIRECTORY)};
  if (directory.fd < 0) cannot("sync", path, errno);
  // Some network file systems have no sync for directories and say EINVAL.
  if (::fsync(directory.fd) != 0 && errno != EINVAL) cannot("sync", path, errno);
}

void make_directories(const fs::path& path) {
  std::error_code error;
  if (path.empty() || fs::is_directory(path, error)) return;
  const fs::path parent = path.parent_path();
  if (parent != path) make_directories(parent);
  if (!path.has_filename()) return;  // "a/b/" ends with an empty name
  fs::create_directory(path, error);
  if (error) cannot("create", path, error.value());
  sync_directory(directory_of(path));
}

MappedFile::MappedFile(const fs::path& path) {
  // Looked at before it is opened: opening a pipe would wait for a writer.
  struct stat status;
  if (::stat(path.c_str(), &status) != 0) cannot("read", path, errno);
  if (S_ISDIR(status.st_mode)) cannot("read", path, EISDIR);
  if (!S_ISREG(status.st_mode)) cannot("read", path, "not a regular file");

  const Descriptor file{open_retrying(path, O_RDONLY)};
  if (file.fd < 0 || ::fstat(file.fd, &status) != 0) cannot("read", path, errno);
  if (status.st_size == 0) return;
  const size_t size = static_cast<size_t>(status.st_size);
  void* data = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.fd, 0);
  if (data == MAP_FAILED) cannot("read", path, errno);
  data_ = static_cast<const std::byte*>(data);
  size_ = size;
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(const_cast<std::byte*>(data_), size_);
}

void MappedFile::swap(MappedFile& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
}

}  // namespace galvan
