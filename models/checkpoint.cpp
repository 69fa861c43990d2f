#include "models/checkpoint.h"

#include <algorithm>
#include <charconv>

#include "core/autograd.h"
#include "models/huggingface.h"

namespace galvan {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using nlohmann::ordered_json;

json read_json(const fs::path& path) {
  json parsed = json::parse(read_text_file(path), nullptr, false);
  check(parsed.is_object(), path.string(), ": not a JSON object; it may be corrupt");
  return parsed;
}

// The part of a parameter that a file's tensor holds.
Tensor part(const FileTensor& entry, const Tensor& parameter) {
  return entry.end < 0 ? parameter : parameter.slice(0, entry.begin, entry.end);
}

std::map<std::string, Tensor> by_name(const Transformer& model) {
  std::map<std::string, Tensor> parameters;
  for (const auto& [name, tensor] : model.parameters()) parameters.emplace(name, tensor.detach());
  return parameters;
}

// The first tensor that `file` has of the names GPT-2's weights go by: the published files lack the prefix.
std::string name_in(const SafetensorsFile& file, const std::string& name) {
  const std::string prefix = "transformer.";
  if (!file.contains(name) && name.starts_with(prefix) && file.contains(name.substr(prefix.size())))
    return name.substr(prefix.size());
  return name;
}

bool is_there(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(path, ignored);
}

// Removes the checkpoints that neither link points to, and what an interrupted save left.
void remove_old(const fs::path& run) {
  std::error_code ignored;
  const fs::path current = fs::read_symlink(run / "current", ignored).filename();
  const fs::path best = fs::read_symlink(run / "best", ignored).filename();
  for (const auto& entry : fs::directory_iterator(run / "checkpoints", ignored))
    if (entry.path().filename() != current && entry.path().filename() != best)
      fs::remove_all(entry.path(), ignored);
}

}  // namespace

void save_model(const fs::path& folder, const Transformer& model, const Tokenizer& tokenizer) {
  NoGrad guard;
  const auto parameters = by_name(model);
  const FileLayout layout = file_layout(model.config());
  const DType dtype = parameters.begin()->second.dtype();
  std::vector<NamedTensor> tensors;
  for (const FileTensor& entry : layout.tensors) {
    const Tensor tensor = part(entry, parameters.at(entry.parameter));
    tensors.emplace_back(entry.name, entry.transposed ? tensor.transpose(0, 1) : tensor);
  }
  for (const ZeroTensor& zero : layout.zeros)
    tensors.emplace_back(zero.name, Tensor::zeros({zero.width}, {.dtype = dtype}));
  write_safetensors(folder / "model.safetensors", tensors, {{"format", "pt"}});
  write_file_atomically(folder / "config.json", to_huggingface(model.config(), name(dtype)).dump(2) + "\n");
  tokenizer.save(folder / "tokenizer.json");
  write_file_atomically(folder / "tokenizer_config.json", tokenizer.transformers_config());
}

fs::path resolve_checkpoint(const fs::path& path) {
  check(is_there(path), path.string(), ": there is no such folder");
  if (is_there(path / "current" / "config.json")) return path / "current";
  check(is_there(path / "config.json"), path.string(),
        ": neither a run's folder (it has no checkpoint in 'current') nor a checkpoint's",
        " (it has no config.json)");
  return path;
}

ModelConfig load_config(const fs::path& folder) {
  const fs::path path = folder / "config.json", weights = folder / "model.safetensors";
  const ModelConfig config = from_huggingface(read_json(path), path.string());
  check(!is_there(folder / "model.safetensors.index.json"), folder.string(),
        ": weights in several files are not supported; save the model in one");
  const SafetensorsFile whole(weights);
  const auto bytes = fs::file_size(weights);
  check(static_cast<uint64_t>(config.parameters()) <= bytes, weights.string(), ": has ", bytes,
        " bytes, but config.json sizes of ", config.parameters(), " parameters; one of them is corrupt");
  return config;
}

LoadedModel load_model(const fs::path& folder, TensorOptions options) {
  const ModelConfig config = load_config(folder);
  LoadedModel loaded;
  loaded.tokenizer = Tokenizer::load(folder / "tokenizer.json");
  check(loaded.tokenizer->vocab_size() <= config.vocab, folder.string(), ": the tokenizer has ",
        loaded.tokenizer->vocab_size(), " tokens, the model only ", config.vocab);
  loaded.model = std::make_unique<Transformer>(config, Init{.tensor = options});
  load_weights(folder, *loaded.model);
  return loaded;
}

void load_weights(const fs::path& folder, const Transformer& model) {
  NoGrad guard;
  const fs::path path = folder / "model.safetensors";
  const SafetensorsFile file(path);
  const auto parameters = by_name(model);
  const FileLayout layout = file_layout(model.config());
  ModelConfig deeper = model.config();
  const int64_t layers = deeper.layers++;
  for (const FileTensor& entry : file_layout(deeper).tensors)
    check(parameters.contains(entry.parameter) || !file.contains(name_in(file, entry.name)), path.string(),
          ": holds ", entry.name, ", but config.json has only ", layers, layers == 1 ? " layer" : " layers");
  std::vector<NamedTensor> places;  // all are checked before any is written
  for (const FileTensor& entry : layout.tensors) {
    const Tensor target = part(entry, parameters.at(entry.parameter));
    const Tensor target_view = entry.transposed ? target.transpose(0, 1) : target;
    const std::string name = name_in(file, entry.name);
    check(file.contains(name), path.string(), ": holds no tensor ", entry.name);
    check(file.shape(name) == target_view.shape(), path.string(), ": ", name, " is ", file.shape(name),
          ", the model's is ", target_view.shape());
    places.emplace_back(name, target_view);
  }
  for (const ZeroTensor& zero : layout.zeros) {
    const std::string name = name_in(file, zero.name);
    if (!file.contains(name)) continue;
    for (double value : file.tensor(name).to_vector())
      check(value == 0, path.string(), ": ", name,
            " is not zero, but config.json says that the model has no biases");
  }
  for (const auto& [name, place] : places) place.copy_(file.tensor(name));
}

void save_checkpoint(const fs::path& run, const Transformer& model, const Tokenizer& tokenizer,
                     const TrainingState& state, bool is_best) {
  const fs::path name = fs::path("checkpoints") / std::to_string(state.step);
  const fs::path aside = run / "checkpoints" / ("." + std::to_string(state.step) + ".partial");
  std::error_code ignored;
  // What is there already is this very state when `current` points to it, and otherwise left by a save that
  // was cut off.
  if (fs::read_symlink(run / "current", ignored) != name) {
    fs::remove_all(run / name, ignored);
    fs::remove_all(aside, ignored);
    make_directories(aside);
    try {
      save_model(aside, model, tokenizer);
      write_safetensors(aside / "optimizer.safetensors", state.optimizer);
      ordered_json training = {{"format_version", kCheckpointFormat}, {"step", state.step}};
      training["progress"] = state.progress;
      write_file_atomically(aside / "training.json", training.dump(2) + "\n");
      sync_directory(aside);
      std::error_code error;
      fs::rename(aside, run / name, error);
      check(!error, "cannot write ", (run / name).string(), ": ", error.message());
      sync_directory(run / "checkpoints");
    } catch (...) {
      fs::remove_all(aside, ignored);
      throw;
    }
  }
  switch_symlink(run / "current", name);
  if (is_best) switch_symlink(run / "best", name);
  remove_old(run);
}

void restore_current(const fs::path& run) {
  std::error_code ignored;
  if (fs::is_symlink(fs::symlink_status(run / "current", ignored))) return;
  int64_t last = -1;
  for (const auto& entry : fs::directory_iterator(run / "checkpoints", ignored)) {
    const std::string name = entry.path().filename().string();  // what is not whole begins with a dot
    int64_t step = -1;
    if (std::from_chars(name.data(), name.data() + name.size(), step).ptr == name.data() + name.size())
      last = std::max(last, step);
  }
  if (last >= 0) switch_symlink(run / "current", fs::path("checkpoints") / std::to_string(last));
}

TrainingState load_training_state(const fs::path& folder) {
  const fs::path path = folder / "training.json";
  check(is_there(path), folder.string(),
        ": holds no training.json, so there is nothing to resume; --init starts from its weights");
  const json training = read_json(path);
  TrainingState state;
  try {
    const int version = training.at("format_version");
    check(version <= kCheckpointFormat, path.string(), ": format version ", version,
          " is newer than this program's ", kCheckpointFormat);
    const json& step = training.at("step");
    check(step.is_number_unsigned(), path.string(), ": step ", step.dump(), " is no whole number from 0 on");
    state.step = step;
    state.progress = training.at("progress");
  } catch (const json::exception& error) {
    fail(path.string(), ": not a training state: ", error.what());
  }
  const SafetensorsFile file(folder / "optimizer.safetensors");
  for (const std::string& name : file.names()) state.optimizer.emplace_back(name, file.tensor(name));
  return state;
}

}  // namespace galvan
