// The safetensors file format: named tensors in one file that can be mapped into memory.
//
//   8 bytes   length of the header, little-endian
//   header    JSON: {"NAME": {"dtype": "F32", "shape": [2, 3], "data_offsets": [begin, end]}, ..,
//             "__metadata__": {..}}
//   data      the tensors, dense and row-major, offsets counted from here
//
// Source: https://github.com/huggingface/safetensors, README, "Format".
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "core/tensor.h"
#include "models/files.h"

namespace galvan {

// Writes the tensors in the order given, aside and then in place (models/files.h).
void write_safetensors(const std::filesystem::path& path, const std::vector<NamedTensor>& tensors,
                       const std::map<std::string, std::string>& metadata = {});

// A file open for reading. The constructor checks the whole header, so that a truncated, corrupt or foreign
// file is refused here with one line that names the file and what is wrong: "PATH: not a safetensors file:
// ...".
class SafetensorsFile {
 public:
  explicit SafetensorsFile(const std::filesystem::path& path);

  const std::vector<std::string>& names() const { return names_; }
  bool contains(const std::string& name) const { return entries_.count(name) > 0; }
  const Shape& shape(const std::string& name) const { return entry(name).shape; }
  // A copy of the tensor. F16 and I64 files are read as f32 and i32.
  Tensor tensor(const std::string& name) const;

 private:
  struct Entry {
    std::string dtype;
    Shape shape;
    size_t begin = 0, end = 0;  // bytes, from the start of the data
  };
  const Entry& entry(const std::string& name) const;

  std::filesystem::path path_;
  MappedFile file_;
  size_t data_ = 0;  // where the data begins
  std::vector<std::string> names_;
  std::map<std::string, Entry> entries_;
};

}  // namespace galvan
