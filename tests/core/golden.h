// Golden values: what PyTorch answered, kept in tests/golden/, and the inputs it was given.
//
//   for (const GoldenCase& c : golden_cases("softmax")) { ... c.inputs[0].values ... c.attributes["dim"] ...
//   }
//
// Inputs are not stored: they follow from a seed by the formula of tests/golden/inputs.py, which golden_bits
// repeats. tests/golden/make_ops.py says what a case holds. Everything is f64, row-major; i32 and bool
// tensors hold whole numbers. Needs the compile definition GALVAN_SOURCE_DIR, the repository's root as a
// string literal.
#pragma once

#include <cmath>
#include <cstdint>
#include <fstream>
#include <functional>
#include <limits>
#include <nlohmann/json.hpp>
#include <numeric>
#include <string>
#include <vector>

#include "core/check.h"

namespace galvan {

// The hash of element i of the tensor with this seed, uniform over 32 bits.
inline uint32_t golden_bits(int64_t i, uint32_t seed) {
  uint32_t u = static_cast<uint32_t>(i) * 2654435761u + seed * 40503u + 12345u;
  u = (u ^ (u >> 16)) * 2246822519u;
  u = (u ^ (u >> 13)) * 3266489917u;
  return u ^ (u >> 16);
}

// n numbers scale * v + offset, where v, uniform in [-1, 1), is the hash.
inline std::vector<double> golden_input(int64_t n, uint32_t seed, double scale = 1.0, double offset = 0.0) {
  std::vector<double> out(n);
  for (int64_t i = 0; i < n; ++i) out[i] = scale * (golden_bits(i, seed) / 4294967296.0 * 2.0 - 1.0) + offset;
  return out;
}

// n whole numbers in [0, below).
inline std::vector<int32_t> golden_integers(int64_t n, uint32_t seed, uint32_t below) {
  std::vector<int32_t> out(n);
  for (int64_t i = 0; i < n; ++i) out[i] = static_cast<int32_t>(uint64_t{golden_bits(i, seed)} * below >> 32);
  return out;
}

struct GoldenInput {
  std::vector<int64_t> shape;
  std::string dtype;           // f64, i32 or bool
  std::vector<double> values;  // row-major
  std::vector<double> grad;    // of sum over outputs j of <y_j, dy_j>; empty where there is none
};

struct GoldenOutput {
  std::vector<int64_t> shape;
  std::string dtype;             // f64, i32 or bool
  std::vector<double> values;    // row-major
  std::vector<double> upstream;  // dy; empty where the output has no gradient
};

struct GoldenCase {
  std::string name;
  std::string op;
  nlohmann::json attributes;  // arguments other than tensors
  std::vector<GoldenInput> inputs;
  std::vector<GoldenOutput> outputs;
};

// tests/golden/<file>, parsed.
inline nlohmann::json golden_file(const std::string& file) {
  const std::string path = std::string(GALVAN_SOURCE_DIR) + "/tests/golden/" + file;
  std::ifstream in(path);
  check(in.good(), "golden_file: cannot read ", path);
  return nlohmann::json::parse(in);
}

// A list of numbers, of which "inf", "-inf" and "nan" stand as strings.
inline std::vector<double> golden_numbers(const nlohmann::json& list) {
  std::vector<double> out;
  for (const nlohmann::json& x : list) {
    const double inf = std::numeric_limits<double>::infinity();
    out.push_back(x.is_number() ? x.get<double>() : x == "inf" ? inf : x == "-inf" ? -inf : std::nan(""));
  }
  return out;
}

// One tensor, F64 or F32, of the safetensors file tests/golden/<file>, widened to f64.
inline std::vector<double> golden_tensor(const std::string& file, const std::string& name) {
  const std::string path = std::string(GALVAN_SOURCE_DIR) + "/tests/golden/" + file;
  std::ifstream in(path, std::ios::binary);
  uint64_t header_size = 0;
  in.read(reinterpret_cast<char*>(&header_size), sizeof header_size);
  check(in.good(), "golden_tensor: cannot read ", path);
  std::string text(header_size, ' ');
  in.read(text.data(), static_cast<std::streamsize>(header_size));
  const nlohmann::json header = nlohmann::json::parse(text);
  check(header.contains(name), "golden_tensor: ", file, " has no ", name);
  const nlohmann::json& entry = header.at(name);
  const int64_t begin = entry.at("data_offsets")[0], end = entry.at("data_offsets")[1];
  in.seekg(static_cast<std::streamoff>(sizeof header_size + header_size) + begin);
  if (entry.at("dtype") == "F64") {
    std::vector<double> out((end - begin) / sizeof(double));
    in.read(reinterpret_cast<char*>(out.data()), end - begin);
    return out;
  }
  std::vector<float> narrow((end - begin) / sizeof(float));
  in.read(reinterpret_cast<char*>(narrow.data()), end - begin);
  return {narrow.begin(), narrow.end()};
}

inline int64_t golden_count(const std::vector<int64_t>& shape) {
  return std::accumulate(shape.begin(), shape.end(), int64_t{1}, std::multiplies<>());
}

inline GoldenInput golden_read_input(const nlohmann::json& j) {
  GoldenInput in{j.at("shape"), j.at("dtype"), {}, {}};
  const int64_t n = golden_count(in.shape);
  if (j.contains("values")) {
    in.values = golden_numbers(j.at("values"));
  } else if (in.dtype == "f64") {
    in.values = golden_input(n, j.at("seed"));
    const double scale = j.value("scale", 1.0), offset = j.value("offset", 0.0);
    const bool absolute = j.value("absolute", false);
    for (double& v : in.values) v = scale * (absolute ? std::fabs(v) : v) + offset;
  } else {
    const std::vector<int32_t> whole =
        golden_integers(n, j.at("seed"), in.dtype == "bool" ? 2 : int(j.at("below")));
    in.values.assign(whole.begin(), whole.end());
  }
  if (j.contains("grad")) in.grad = golden_numbers(j.at("grad"));
  return in;
}

// The cases of ops.json for one op, with inputs and upstream gradients filled in. An op without any is an
// error.
inline std::vector<GoldenCase> golden_cases(const std::string& op) {
  static const nlohmann::json file = golden_file("ops.json");
  std::vector<GoldenCase> out;
  for (const nlohmann::json& j : file.at("cases")) {
    if (j.at("op") != op) continue;
    GoldenCase c{j.at("name"), op, j.at("attributes"), {}, {}};
    for (const nlohmann::json& input : j.at("inputs")) c.inputs.push_back(golden_read_input(input));
    for (const nlohmann::json& o : j.at("outputs")) {
      GoldenOutput y{o.at("shape"), o.at("dtype"), golden_numbers(o.at("values")), {}};
      if (o.contains("upstream")) y.upstream = golden_input(golden_count(y.shape), o.at("upstream"));
      c.outputs.push_back(std::move(y));
    }
    out.push_back(std::move(c));
  }
  check(!out.empty(), "golden_cases: ops.json has no case for ", op);
  return out;
}

}  // namespace galvan
