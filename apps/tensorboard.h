// Event files that TensorBoard reads.
//
//   EventWriter writer(run / "tensorboard", 0);
//   writer.add(12, {{"loss/training", 2.31}, {"learning rate", 0.001}});
//
// A file is a row of records (TensorFlow's TFRecord: tensorflow/core/lib/io/record_writer.h), integers little-endian:
//
//   uint64 length    uint32 crc of the length    length bytes    uint32 crc of the bytes
//
// where crc is CRC-32C (Castagnoli), rotated right by 15 and increased by 0xa282ead8. The bytes are an Event in protocol
// buffers' encoding (tensorboard/compat/proto/event.proto and summary.proto):
//
//   Event        1: double wall_time    2: int64 step    3: string file_version, or 5: Summary, or 7: SessionLog
//   Summary      1: Value, repeated           Value    1: string tag    2: float simple_value
//   SessionLog   1: status, of which 1 is START
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace galvan {

struct Scalar {
  std::string_view tag;
  double value;
};

double seconds_since_1970();

class EventWriter {
 public:
  // Begins a new file in `folder`, which is made; its name comes after those of the files there. After `step` > 0 updates
  // it begins with a SessionLog, upon which TensorBoard forgets what earlier files have of later steps.
  EventWriter(const std::filesystem::path& folder, int64_t step,
              std::function<double()> clock = seconds_since_1970);
  ~EventWriter();  // what could not be written is lost
  EventWriter(const EventWriter&) = delete;
  EventWriter& operator=(const EventWriter&) = delete;

  // Written within a second or two, and by flush(). Throws "cannot write PATH: ...".
  void add(int64_t step, const std::vector<Scalar>& scalars);
  void flush();

  const std::filesystem::path& path() const { return path_; }

 private:
  void append(const std::string& event);

  std::filesystem::path path_;
  std::function<double()> clock_;
  std::string waiting_;  // to be written
  double written_ = 0;   // when that was last done
  int file_ = -1;
};

}  // namespace galvan
