// How a model is written so that Hugging Face's Transformers loads the folder as it is, and how such a folder
// is read: names and layouts of GPT2LMHeadModel and LlamaForCausalLM, and their config.json.
//
// A mix of styles that neither has (say, RMS norm with learned positions) is kept under this project's own
// names, and only loads here.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "models/config.h"

namespace galvan {

// Whose names and layout a model of these sizes and style is written in.
enum class Architecture { gpt2, llama, galvan };
Architecture architecture(const ModelConfig& config);

// One tensor of the file: rows [begin, end) of a parameter, transposed or not. end = -1: all rows.
struct FileTensor {
  std::string name;       // in the file
  std::string parameter;  // Transformer::parameters()
  bool transposed = false;
  int64_t begin = 0, end = -1;
};
// A bias that the file must hold and the model does not have: `width` zeros.
struct ZeroTensor {
  std::string name;
  int64_t width = 0;
};
// Every tensor of a model's file, in order. GPT-2 keeps the weights of linear layers as [in, out], and has all
// biases.
struct FileLayout {
  std::vector<FileTensor> tensors;
  std::vector<ZeroTensor> zeros;
};
FileLayout file_layout(const ModelConfig& config);

// The model's config.json. `dtype` is that of its weights: "f32", "f64", "bf16".
nlohmann::ordered_json to_huggingface(const ModelConfig& config, const std::string& dtype);

// Throws "PATH: ..." for an architecture or an option that is not supported here. `path` is for messages.
ModelConfig from_huggingface(const nlohmann::json& config, const std::string& path);

}  // namespace galvan
