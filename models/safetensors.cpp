#include "models/safetensors.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>
#include <set>

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

// A whole number that is not negative; what else JSON has is refused, where get() would convert it.
uint64_t whole_number(const json& value) {
  if (!value.is_number_unsigned()) throw json::type_error::create(302, "not a whole number", &value);
  return value.get<uint64_t>();
}

// Parses, and names a key of the outer object that comes twice.
json parse_header(std::string_view text, std::string& twice) {
  std::set<std::string> seen;
  const auto notice = [&](int depth, json::parse_event_t event, json& key) {
    if (event == json::parse_event_t::key && depth == 1 && !seen.insert(key.get<std::string>()).second)
      twice = key.get<std::string>();
    return true;
  };
  return json::parse(text, notice, false);
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
  std::string twice;
  const json header = parse_header(file_.text().substr(sizeof length, length), twice);
  if (!header.is_object()) refuse("its header is not JSON");
  if (!twice.empty()) refuse("it has two tensors ", json(twice));

  for (const auto& [key, value] : header.items()) {
    if (key == "__metadata__") continue;
    const std::string name = json(key).dump();  // for messages: quoted, on one line
    try {
      Entry entry;
      entry.dtype = value.at("dtype").get<std::string>();
      size_t elements = 1;
      const json &shape = value.at("shape"), &offsets = value.at("data_offsets");
      if (!shape.is_array() || shape.size() > kMaxRank || offsets.size() != 2)
        refuse("its entry for ", name, " is not understood");
      for (const json& size : shape) {
        const uint64_t n = whole_number(size);
        if (n >> 48 || __builtin_mul_overflow(elements, n, &elements)) refuse(name, " has too many elements");
        entry.shape.push_back(static_cast<int64_t>(n));
      }
      entry.begin = whole_number(offsets.at(0));
      entry.end = whole_number(offsets.at(1));
      const FileType* type = file_type(entry.dtype);
      if (!type) refuse(name, " has the unknown type ", json(entry.dtype));
      if (entry.begin > entry.end || entry.end > data_bytes)
        refuse(name, " ends at byte ", entry.end, " of ", data_bytes, "; it may be truncated");
      if (elements > data_bytes || elements * static_cast<size_t>(type->bytes) != entry.end - entry.begin)
        refuse(name, " ", entry.shape, " does not fit its ", entry.end - entry.begin, " bytes");
      names_.push_back(key);
      entries_.emplace(key, std::move(entry));
    } catch (const json::exception&) {
      refuse("its entry for ", name, " is not understood");
    }
  }

  // The data is one tensor after the other.
  std::vector<std::pair<size_t, size_t>> parts;
  for (const auto& [name, entry] : entries_) parts.emplace_back(entry.begin, entry.end);
  std::sort(parts.begin(), parts.end());
  size_t covered = 0;
  for (const auto& [begin, end] : parts) {
    if (begin < covered) refuse("two tensors overlap at byte ", begin, " of its data");
    if (begin > covered) refuse("bytes ", covered, " to ", begin, " of its data belong to no tensor");
    covered = end;
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
    return converted<int64_t>(bytes, e.shape, type.dtype, [&](int64_t value) {
      check(value == static_cast<int32_t>(value), path_.string(), ": ", name, " holds ", value,
            ", which i32 has not");
      return value;
    });
  if (e.dtype == "BOOL")  // any byte but 0 and 1 is no bool in memory
    return converted<uint8_t>(bytes, e.shape, type.dtype, [](uint8_t value) { return value != 0; });
  Tensor tensor = Tensor::empty(e.shape, {.dtype = type.dtype});
  if (e.end > e.begin) std::memcpy(tensor.impl()->storage->data(), bytes, e.end - e.begin);
  return tensor;
}

}  // namespace galvan
