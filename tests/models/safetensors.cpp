#include "models/safetensors.h"

#include <doctest/doctest.h>

#include <bit>
#include <cmath>

#include "tests/core/golden.h"
#include "tests/models/temporary_directory.h"

using namespace galvan;

namespace {

// A file of this header and as many bytes of data.
std::string file_of(const std::string& header, size_t data_bytes) {
  const uint64_t length = header.size();
  return std::string(reinterpret_cast<const char*>(&length), 8) + header + std::string(data_bytes, '\1');
}

std::string refusal(const std::filesystem::path& path, const std::string& bytes) {
  write_file_atomically(path, bytes);
  try {
    SafetensorsFile file{path};
    for (const std::string& name : file.names()) file.tensor(name);
  } catch (const Error& error) {
    const std::string message = error.what(), start = path.string() + ": not a safetensors file: ";
    CHECK(message.find('\n') == std::string::npos);
    return message.starts_with(start) ? message.substr(start.size()) : message;
  }
  return "none";
}

std::string from_hex(const std::string& hex) {
  std::string bytes;
  for (size_t i = 0; i < hex.size(); i += 2)
    bytes += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
  return bytes;
}

}  // namespace

TEST_CASE("tensors come back as they were written") {
  TemporaryDirectory directory;
  const auto path = directory.path() / "t.safetensors";
  const Tensor x = Tensor::from(golden_input(35, 1), {5, 7});
  std::vector<NamedTensor> tensors = {
      {"f64", x},
      {"f32", x.to(DType::f32)},
      {"bf16", x.to(DType::bf16)},
      {"i32", Tensor::from(std::vector<int32_t>{-5, 0, 2147483647}, {3, 1})},
      {"bool", Tensor::from(std::vector<double>{1, 0, 1}, {3}, {.dtype = DType::boolean})},
      {"scalar", Tensor::full({}, 0.1)},
      {"empty", Tensor::zeros({0, 3})},
      {"transposed", x.transpose(0, 1)},
      {"slice", x.slice(1, 2, 7, 2)},
      {"repeated", x.slice(0, 0, 1).expand({4, 7})},
      {"name with \"quotes\" and \xC3\xA4", x.select(0, 3)}};
  write_safetensors(path, tensors, {{"format", "pt"}});
  const SafetensorsFile file{path};
  CHECK(file.names().size() == tensors.size());
  for (const auto& [key, tensor] : tensors) {
    const std::string& name = key;  // clang 14 captures no structured bindings
    CAPTURE(name);
    REQUIRE(file.contains(name));
    CHECK(file.shape(name) == tensor.shape());
    CHECK(file.tensor(name).dtype() == tensor.dtype());
    CHECK(file.tensor(name).to_vector() == tensor.to_vector());
  }
  CHECK_FALSE(file.contains("__metadata__"));
  CHECK_THROWS_WITH_AS(file.tensor("other"), (path.string() + ": holds no tensor other").c_str(), Error);
  tensors.push_back(tensors[0]);
  CHECK_THROWS_WITH_AS(write_safetensors(path, tensors),
                       (path.string() + ": two tensors are named f64").c_str(), Error);
  CHECK(SafetensorsFile{path}.contains("slice"));  // the old file is whole

  write_safetensors(path, {});
  CHECK(SafetensorsFile{path}.names().empty());
}

TEST_CASE("a file of the safetensors package") {
  TemporaryDirectory directory;
  const auto path = directory.path() / "t.safetensors";
  write_file_atomically(path, from_hex(golden_file("huggingface.json").at("safetensors")));
  const SafetensorsFile file{path};
  CHECK(file.names().size() == 8);
  const auto expect = [&](const char* name, DType dtype, const Shape& shape,
                          const std::vector<double>& values) {
    CAPTURE(name);
    CHECK(file.tensor(name).dtype() == dtype);
    CHECK(file.shape(name) == shape);
    CHECK(file.tensor(name).to_vector() == values);
  };
  expect("half", DType::f32, {2, 3}, {0, 1.5, -2, 65504, 0x1p-24, -0.0999755859375});
  expect("brain", DType::bf16, {2}, {1, -3.140625});
  expect("single", DType::f32, {3}, {0.1f, -1e30f, INFINITY});
  expect("double", DType::f64, {}, {0.1});
  expect("whole", DType::i32, {2, 1}, {-7, 2147483647});
  expect("int", DType::i32, {2}, {-7, 5});
  expect("flag", DType::boolean, {3}, {1, 0, 1});
  expect("empty", DType::f32, {0, 3}, {});
}

TEST_CASE("corrupt files are refused with what is wrong") {
  TemporaryDirectory directory;
  const auto path = directory.path() / "t.safetensors";
  const auto entry = [](const char* dtype, const char* shape, const char* offsets) {
    return concat("{\"w\":{\"dtype\":\"", dtype, "\",\"shape\":", shape, ",\"data_offsets\":", offsets, "}}");
  };
  CHECK(refusal(path, file_of(entry("F32", "[2,3]", "[0,24]"), 24)) == "none");
  CHECK(refusal(path, "") == "it has 0 bytes");
  CHECK(refusal(path, "1234567") == "it has 7 bytes");
  CHECK(refusal(path, std::string(8, '\xff') + "{}") ==
        "its header should have 18446744073709551615 bytes, the file has 10");
  CHECK(refusal(path, file_of("{\"w\":", 0)) == "its header is not JSON");
  CHECK(refusal(path, file_of("[]", 0)) == "its header is not JSON");
  CHECK(refusal(path, file_of(std::string(100000, '['), 0)) == "its header is not JSON");
  CHECK(refusal(path, file_of("{\"w\":3}", 0)) == "its entry for \"w\" is not understood");
  CHECK(refusal(path, file_of("{\"w\\nv\":{}}", 0)) == "its entry for \"w\\nv\" is not understood");
  for (const char* shape :
       {"[-2,3]", "[2.5,3]", "[true,6]", "6", "{\"a\":6}", "[1,1,1,1,1,1,1,1,6]", "[\"6\"]"}) {
    CAPTURE(shape);
    CHECK(refusal(path, file_of(entry("F32", shape, "[0,24]"), 24)) ==
          "its entry for \"w\" is not understood");
  }
  for (const char* offsets : {"[0]", "[0,24,25]", "[-1,24]", "[0,24.0]", "24", "[0,null]"}) {
    CAPTURE(offsets);
    CHECK(refusal(path, file_of(entry("F32", "[2,3]", offsets), 24)) ==
          "its entry for \"w\" is not understood");
  }
  CHECK(refusal(path, file_of(entry("F32", "[4294967296,4294967296]", "[0,24]"), 24)) ==
        "\"w\" has too many elements");
  CHECK(refusal(path, file_of(entry("F32", "[9223372036854775808,0]", "[0,0]"), 0)) ==
        "\"w\" has too many elements");
  CHECK(refusal(path, file_of(entry("F8", "[2,3]", "[0,24]"), 24)) == "\"w\" has the unknown type \"F8\"");
  CHECK(refusal(path, file_of(entry("F32", "[2,3]", "[0,24]"), 23)) ==
        "\"w\" ends at byte 24 of 23; it may be truncated");
  CHECK(refusal(path, file_of(entry("F32", "[2,3]", "[24,0]"), 24)) ==
        "\"w\" ends at byte 0 of 24; it may be truncated");
  CHECK(refusal(path, file_of(entry("F32", "[2,4]", "[0,24]"), 24)) ==
        "\"w\" [2, 4] does not fit its 24 bytes");
  CHECK(refusal(path, file_of(entry("F32", "[2,3]", "[0,24]"), 30)) ==
        "6 bytes at its end belong to no tensor");
  CHECK(refusal(path, file_of(entry("F32", "[2,3]", "[4,28]"), 28)) ==
        "bytes 0 to 4 of its data belong to no tensor");
  const auto two = [](const char* a, const char* first, const char* b, const char* second) {
    return concat("{\"", a, "\":{\"dtype\":\"I32\",\"shape\":[2],\"data_offsets\":", first, "},\"", b,
                  "\":{\"dtype\":\"I32\",\"shape\":[2],\"data_offsets\":", second, "}}");
  };
  CHECK(refusal(path, file_of(two("a", "[8,16]", "b", "[0,8]"), 16)) == "none");
  CHECK(refusal(path, file_of(two("a", "[0,8]", "b", "[4,12]"), 12)) ==
        "two tensors overlap at byte 4 of its data");
  CHECK(refusal(path, file_of(two("a", "[0,8]", "a", "[8,16]"), 16)) == "it has two tensors \"a\"");
  CHECK(refusal(path, file_of(entry("I64", "[1]", "[0,8]"), 8)) ==
        path.string() + ": w holds 72340172838076673, which i32 has not");
}

TEST_CASE("no damage crashes: every cut is refused, every flipped byte is refused or read") {
  TemporaryDirectory directory;
  const auto path = directory.path() / "t.safetensors";
  const std::string good = from_hex(golden_file("huggingface.json").at("safetensors"));
  CHECK(refusal(path, good) == "none");
  for (size_t size = 0; size < good.size(); size += 7) {
    CAPTURE(size);
    CHECK(refusal(path, good.substr(0, size)) != "none");
  }
  int read = 0;
  for (uint32_t i = 0; i < 1000; ++i) {
    std::string bytes = good;
    for (uint32_t flips = 0; flips < 1 + i % 3; ++flips)
      bytes[golden_bits(3 * i + flips, 1) % bytes.size()] = static_cast<char>(golden_bits(3 * i + flips, 2));
    read += refusal(path, bytes) == "none";
  }
  CHECK(read > 0);
  CHECK(read < 1000);
}
