#include "models/safetensors.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>

#include "core/autograd.h"

namespace galvan {
namespace {

using json = nlohmann::json;

static_assert(std::endian::native == std::endian::little, "safetensors files are little-endian");

struct FileType {
  const char* name;
  DType dtype;  // what it is read as
  int64_t bytes;
};
constexpr FileType kFileTypes[] = {
    {"F32", DType::f32, 4},      {"F64", DType::f64, 8}, {"BF16", DType::bf16, 2}, {"I32", DType::i32, 4},
    {"BOOL", DType::boolean, 1}, {"F16", DType::f32, 2}, {"I64", DType::i32, 8}};

const FileType* file_type(std::string_view name) {
  const auto* found = std::find_if(std::begin(kFileTypes), std::end(kFileTypes),
                                   [&](const FileType& type) { return name == type.name; });
  return found == std::end(kFileTypes) ? nullptr : found;
}

// The name under which a dtype is written: the first that reads as it.
const char* name_in_file(DType dtype) {
  return std::find_if(std::begin(kFileTypes), std::end(kFileTypes),
                      [&](const FileType& type) { return type.dtype == dtype; })
      ->name;
}

// IEEE half precision: 5 bits of exponent, 10 of fraction.
float from_half(uint16_t half) {
  const int exponent = half >> 10 & 31, fraction = half & 1023;
  float value = exponent == 31  ? (fraction ? NAN : INFINITY)
                : exponent == 0 ? std::ldexp(static_cast<float>(fraction), -24)
                                : std::ldexp(static_cast<float>(fraction + 1024), exponent - 25);
  return half & 0x8000 ? -value : value;
}

template <class From, class Convert>
Tensor converted(const std::byte* bytes, const Shape& shape, DType dtype, Convert convert) {
  std::vector<double> values(static_cast<size_t>(shape.numel()));
  for (size_t i = 0; i < values.size(); ++i) {
    From value;
    std::memcpy(&value, bytes + i * sizeof value, sizeof value);
    values[i] = static_cast<double>(convert(value));
  }
  return Tensor::from(values, shape, {.dtype = dtype});
}

}  // namespace

void write_safetensors(const std::filesystem::path& path, const std::vector<NamedTensor>& tensors,
                       const std::map<std::string, std::string>& metadata) {
  NoGrad guard;
  nlohmann::ordered_json header;
  if (!metadata.empty()) header["__metadata__"] = metadata;
  int64_t offset = 0;
  for (const auto& [name, tensor] : tensors) {
    const int64_t bytes = tensor.numel() * size_of(tensor.dtype());
    check(!header.contains(name), path.string(), ": two tensors are named ", name);
    header[name] = {{"dtype", name_in_file(tensor.dtype())},
                    {"shape", std::vector<int64_t>(tensor.shape().begin(), tensor.shape().end())},
                    {"data_offsets", {offset, offset + bytes}}};
    offset += bytes;
  }
  std::string text = tensors.empty() && metadata.empty() ? "{}" : header.dump();
  text.append((8 - text.size() % 8) % 8, ' ');  // so that the data is aligned
  const uint64_t length = text.size();

  AtomicFile file(path);
  file.write(&length, sizeof length);
  file.write(text);
  for (const auto& [name, tensor] : tensors) {
    const Tensor dense = tensor.to(kCpu).contiguous();
    const auto* storage = static_cast<const std::byte*>(dense.impl()->storage->data());
    const int64_t size = size_of(dense.dtype());
    file.write(storage + dense.impl()->offset * size, static_cast<size_t>(dense.numel() * size));
  }
  file.commit();
}

SafetensorsFile::SafetensorsFile(const std::filesystem::path& path) : path_(path), file_(path) {
  const auto refuse = [&](const auto&... why) { fail(path.string(), ": not a safetensors file: ", why...); };
  uint64_t length = 0;
  if (file_.size() < sizeof length) refuse("it has ", file_.size(), " bytes");
  std::memcpy(&length, file_.data(), sizeof length);
  if (length > file_.size() - sizeof length)
    refuse("its header should have ", length, " bytes, the file has ", file_.size());
  data_ = sizeof length + length;
  const size_t data_bytes = file_.size() - data_;
  const json header = json::parse(file_.text().substr(sizeof length, length), nullptr, false);
  if (!header.is_object()) refuse("its header is not JSON");

  size_t covered = 0;
  for (const auto& [name, value] : header.items()) {
    if (name == "__metadata__") continue;
    try {
      Entry entry;
      entry.dtype = value.at("dtype").get<std::string>();
      size_t elements = 1;
      for (const json& size : value.at("shape")) {
        const auto n = size.get<uint64_t>();
        if (__builtin_mul_overflow(elements, n, &elements)) refuse(name, " has too many elements");
        entry.shape.push_back(static_cast<int64_t>(n));
      }
      entry.begin = value.at("data_offsets").at(0).get<size_t>();
      entry.end = value.at("data_offsets").at(1).get<size_t>();
      const FileType* type = file_type(entry.dtype);
      if (!type) refuse(name, " has the unknown type ", entry.dtype);
      if (entry.begin > entry.end || entry.end > data_bytes)
        refuse(name, " ends at byte ", entry.end, " of ", data_bytes, "; it may be truncated");
      if (elements > data_bytes || elements * static_cast<size_t>(type->bytes) != entry.end - entry.begin)
        refuse(name, " ", entry.shape, " does not fit its ", entry.end - entry.begin, " bytes");
      covered = std::max(covered, entry.end);
      names_.push_back(name);
      entries_.emplace(name, std::move(entry));
    } catch (const json::exception&) {
      refuse("its entry for ", name, " is not understood");
    }
  }
  if (covered != data_bytes) refuse(data_bytes - covered, " bytes at its end belong to no tensor");
}

const SafetensorsFile::Entry& SafetensorsFile::entry(const std::string& name) const {
  const auto found = entries_.find(name);
  check(found != entries_.end(), path_.string(), ": holds no tensor ", name);
  return found->second;
}

Tensor SafetensorsFile::tensor(const std::string& name) const {
  const Entry& e = entry(name);
  const std::byte* bytes = file_.data() + data_ + e.begin;
  const FileType& type = *file_type(e.dtype);
  if (e.dtype == "F16") return converted<uint16_t>(bytes, e.shape, type.dtype, from_half);
  if (e.dtype == "I64")
    return converted<int64_t>(bytes, e.shape, type.dtype, [](int64_t value) { return value; });
  Tensor tensor = Tensor::empty(e.shape, {.dtype = type.dtype});
  if (e.end > e.begin) std::memcpy(tensor.impl()->storage->data(), bytes, e.end - e.begin);
  return tensor;
}

}  // namespace galvan
