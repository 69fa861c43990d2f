#include "models/cycle_average.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>

#include "core/autograd.h"
#include "models/checkpoint.h"
#include "models/files.h"

namespace galvan {

namespace fs = std::filesystem;

void replace_model(const fs::path& folder, const Transformer& model, const Tokenizer& tokenizer) {
  const fs::path aside = folder.parent_path() / ("." + folder.filename().string() + ".partial");
  std::error_code error;
  fs::remove_all(aside, error);
  make_directories(aside);
  try {
    save_model(aside, model, tokenizer);
    sync_directory(aside);
    fs::remove_all(folder, error);
    fs::rename(aside, folder, error);
    check(!error, "cannot write ", folder.string(), ": ", error.message());
    sync_directory(folder.parent_path());
  } catch (...) {
    fs::remove_all(aside, error);
    throw;
  }
}

void save_cycle(const fs::path& run, int64_t step, const Transformer& model, const Tokenizer& tokenizer) {
  make_directories(run / "cycles");
  replace_model(run / "cycles" / std::to_string(step), model, tokenizer);
}

// "800", or what replace_model had not finished of it.
static bool is_of_cycle(const fs::path& path) {
  std::string name = path.filename().string();
  if (name.starts_with('.') && name.ends_with(".partial")) name = name.substr(1, name.size() - 9);
  return !name.empty() && name.find_first_not_of("0123456789") == std::string::npos;
}

std::vector<int64_t> saved_cycles(const fs::path& run, int64_t step) {
  std::vector<int64_t> ends;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(run / "cycles", ignored)) {
    const std::string name = entry.path().filename().string();
    int64_t end = 0;
    const auto [rest, error] = std::from_chars(name.data(), name.data() + name.size(), end);
    if (error == std::errc() && rest == name.data() + name.size() && end <= step) ends.push_back(end);
  }
  std::sort(ends.begin(), ends.end());
  return ends;
}

std::vector<fs::path> keep_cycles(const fs::path& run, const std::vector<int64_t>& ends) {
  std::vector<fs::path> kept, others;
  std::error_code ignored;
  for (const int64_t end : ends)
    if (fs::path folder = run / "cycles" / std::to_string(end); fs::exists(folder, ignored))
      kept.push_back(std::move(folder));
  for (const auto& entry : fs::directory_iterator(run / "cycles", ignored))
    if (is_of_cycle(entry.path()) && std::find(kept.begin(), kept.end(), entry.path()) == kept.end())
      others.push_back(entry.path());
  for (const fs::path& folder : others) fs::remove_all(folder);
  return kept;
}

void load_average(const std::vector<fs::path>& folders, const Transformer& model) {
  check(!folders.empty(), "average: there is no model to average");
  const NoGrad guard;
  std::vector<std::vector<double>> sums;
  for (const fs::path& folder : folders) {
    load_weights(folder, model);
    const std::vector<NamedTensor> parameters = model.parameters();
    sums.resize(parameters.size());
    for (size_t i = 0; i < parameters.size(); ++i) {
      const std::vector<double> values = parameters[i].second.to_vector();
      sums[i].resize(values.size());
      for (size_t j = 0; j < values.size(); ++j) sums[i][j] += values[j];
    }
  }
  const std::vector<NamedTensor> parameters = model.parameters();
  for (size_t i = 0; i < parameters.size(); ++i) {
    for (double& value : sums[i]) value /= static_cast<double>(folders.size());
    const Tensor& place = parameters[i].second;
    place.detach().copy_(Tensor::from(sums[i], place.shape(), {.dtype = place.dtype()}));
  }
}

double ensemble_loss(const std::vector<fs::path>& folders, const Transformer& scratch,
                     const TokenArray& tokens, TokenRange range, int64_t batch_size) {
  check(!folders.empty(), "ensemble: there is no model");
  const NoGrad guard;
  const EvaluationBatches batches(tokens, range, batch_size, scratch.config().context);
  const Device device = scratch.parameters()[0].second.device();
  const auto [most_rows, most_length] = batches.shape(0);
  std::vector<int32_t> x(static_cast<size_t>(most_rows * most_length)), y(x.size());
  // log of the sum of the models' probabilities of each target
  std::vector<double> log_sums(static_cast<size_t>(batches.targets()),
                               -std::numeric_limits<double>::infinity());
  for (const fs::path& folder : folders) {
    load_weights(folder, scratch);
    size_t at = 0;
    for (int64_t batch = 0; batch < batches.batches(); ++batch) {
      const EvaluationBatches::Shape read = batches.read(batch, x, y);
      const auto on_device = [&](const std::vector<int32_t>& values, const Shape& shape) {
        return Tensor::from(std::span(values.data(), static_cast<size_t>(read.rows * read.length)), shape,
                            {.dtype = DType::i32, .device = device});
      };
      const Tensor logits = scratch(on_device(x, {read.rows, read.length}), false).to(DType::f32);
      const Tensor chosen = gather(log_softmax(logits, -1), -1, on_device(y, {read.rows, read.length, 1}));
      for (const double log_p : chosen.to_vector()) {
        double& sum = log_sums[at++];
        const double high = std::max(sum, log_p), low = std::min(sum, log_p);
        sum = high + std::log1p(std::exp(low - high));
      }
    }
  }
  double total = 0;
  for (const double log_sum : log_sums) total += std::log(static_cast<double>(folders.size())) - log_sum;
  return total / static_cast<double>(log_sums.size());
}

}  // namespace galvan
