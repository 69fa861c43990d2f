// Files that are never half written, and errors that say which file and why:
//
//   cannot write runs/a/model.safetensors: No space left on device
//
// Every function here throws Error with one such line. A write goes to a file aside in the same directory, is
// synced, renamed over the old one, and the directory is synced: after a crash, a kill or a full disk the
// path holds either all of the old bytes or all of the new.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

namespace galvan {

// The whole file, byte for byte. A pipe is read to its end; a device, which may have none, is refused.
std::string read_text_file(const std::filesystem::path& path);

void write_file_atomically(const std::filesystem::path& path, std::string_view bytes);

// The same in pieces, for what should not be in memory twice. Unless commit() returned, the destructor
// removes the file aside and leaves the old file as it was; only a kill at the wrong moment leaves
// "NAME.PID-N.partial" behind.
//
//   AtomicFile file("tokens.bin");
//   file.write(header.data(), header.size());
//   file.write(tokens.data(), tokens.size_bytes());
//   file.commit();
//
// Pieces are not buffered: each write is a system call.
class AtomicFile {
 public:
  // A symbolic link is followed. Something there that is no regular file (a directory, a device) is an error.
  explicit AtomicFile(const std::filesystem::path& path);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void write(const void* data, size_t bytes);
  void write(std::string_view bytes) { write(bytes.data(), bytes.size()); }
  void commit();

 private:
  std::filesystem::path path_, aside_;
  int file_ = -1;
};

// Writes all of it to an open file, whose name errors have, however many calls that takes.
void write_all(int file, std::string_view bytes, const std::filesystem::path& path);

// Adds to the end of a file, which is made where there is none. Not synced.
void append_to_file(const std::filesystem::path& path, std::string_view bytes);

// Makes `link` point at `target` (as given: relative to the link's directory), in one step if it pointed
// elsewhere. Something there that is no symbolic link is an error.
void switch_symlink(const std::filesystem::path& link, const std::filesystem::path& target);

// Makes creations, renames and removals in the directory durable.
void sync_directory(const std::filesystem::path& path);

// Creates the directory and its missing parents, durably; nothing happens when it is there.
void make_directories(const std::filesystem::path& path);

// A whole file mapped for reading; an empty one is an empty span. Must be a regular file, not cut while it is
// mapped.
class MappedFile {
 public:
  MappedFile() = default;
  explicit MappedFile(const std::filesystem::path& path);
  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept { swap(other); }
  MappedFile& operator=(MappedFile&& other) noexcept {
    MappedFile(std::move(other)).swap(*this);
    return *this;
  }

  const std::byte* data() const { return data_; }
  size_t size() const { return size_; }
  std::span<const std::byte> bytes() const { return {data_, size_}; }
  std::string_view text() const { return {reinterpret_cast<const char*>(data_), size_}; }

 private:
  void swap(MappedFile& other) noexcept;

  const std::byte* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace galvan
