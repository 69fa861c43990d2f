#include "apps/tensorboard.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <bit>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>

#include "core/check.h"
#include "models/files.h"

namespace galvan {
namespace {

namespace fs = std::filesystem;

uint32_t masked_crc(std::string_view bytes) {
  static const std::array<uint32_t, 256> table = [] {
    std::array<uint32_t, 256> made{};
    for (uint32_t i = 0; i < 256; ++i) {
      uint32_t crc = i;
      for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ (crc & 1 ? 0x82F63B78u : 0);
      made[i] = crc;
    }
    return made;
  }();
  uint32_t crc = 0xFFFFFFFFu;
  for (const char c : bytes) crc = (crc >> 8) ^ table[(crc ^ static_cast<uint8_t>(c)) & 0xFF];
  return std::rotr(~crc, 15) + 0xa282ead8u;
}

template <class Unsigned>
std::string little_endian(Unsigned value) {
  std::string bytes;
  for (size_t i = 0; i < sizeof value; ++i) bytes += static_cast<char>((value >> (8 * i)) & 0xFF);
  return bytes;
}

std::string varint(uint64_t value) {
  std::string bytes;
  for (; value >= 0x80; value >>= 7) bytes += static_cast<char>((value & 0x7F) | 0x80);
  return bytes + static_cast<char>(value);
}

// A field is its number and how it is encoded, in one byte here, and then its value.
char key(int field, int encoding) { return static_cast<char>(field << 3 | encoding); }
std::string number(int field, uint64_t value) { return key(field, 0) + varint(value); }
std::string real64(int field, double value) {
  return key(field, 1) + little_endian(std::bit_cast<uint64_t>(value));
}
std::string real32(int field, float value) {
  return key(field, 5) + little_endian(std::bit_cast<uint32_t>(value));
}
std::string bytes(int field, std::string_view value) {
  return key(field, 2) + varint(value.size()) + std::string(value);
}

std::string record(const std::string& data) {
  const std::string length = little_endian(static_cast<uint64_t>(data.size()));
  return length + little_endian(masked_crc(length)) + data + little_endian(masked_crc(data));
}

// What every event begins with. Zeros are left out, as protocol buffers have it.
std::string event(double time, int64_t step) {
  return real64(1, time) + (step == 0 ? "" : number(2, static_cast<uint64_t>(step)));
}

struct NextFile {
  fs::path path;
  bool is_first = true;  // in its folder
};

// events.out.tfevents.SECONDS.galvan, the seconds those of `time` or more: TensorBoard reads files in the order of names.
NextFile next_file(const fs::path& folder, double time) {
  auto seconds = static_cast<long long>(time);
  bool is_first = true;
  for (const auto& entry : fs::directory_iterator(folder)) {
    long long there = 0;
    if (std::sscanf(entry.path().filename().c_str(), "events.out.tfevents.%lld.galvan", &there) != 1)
      continue;
    seconds = std::max(seconds, there + 1);
    is_first = false;
  }
  char name[64];
  std::snprintf(name, sizeof name, "events.out.tfevents.%010lld.galvan", seconds);
  return {folder / name, is_first};
}

}  // namespace

double seconds_since_1970() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

EventWriter::EventWriter(const fs::path& folder, int64_t step, std::function<double()> clock)
    : clock_(std::move(clock)) {
  make_directories(folder);
  const double time = clock_();
  const NextFile next = next_file(folder, time);
  path_ = next.path;
  file_ = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0666);
  check(file_ >= 0, "cannot write ", path_.string(), ": ", std::strerror(errno));
  append(event(time, 0) + bytes(3, "brain.Event:2"));
  // A run that goes on: what earlier files have from here on did not last.
  if (step > 0 || !next.is_first) append(event(time, step + 1) + bytes(7, number(1, 1)));
  flush();
}

EventWriter::~EventWriter() {
  try {
    flush();
  } catch (const Error&) {  // the run has its own record
  }
  ::close(file_);
}

void EventWriter::add(int64_t step, const std::vector<Scalar>& scalars) {
  std::string summary;
  for (const Scalar& scalar : scalars)
    summary += bytes(1, bytes(1, scalar.tag) + real32(2, static_cast<float>(scalar.value)));
  const double time = clock_();
  append(event(time, step) + bytes(5, summary));
  if (time - written_ >= 1) flush();
}

void EventWriter::append(const std::string& event) { waiting_ += record(event); }

void EventWriter::flush() {
  written_ = clock_();
  write_all(file_, waiting_, path_);
  waiting_.clear();
}

}  // namespace galvan
