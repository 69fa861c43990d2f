#include "apps/cycle_losses.h"

#include <nlohmann/json.hpp>

#include "core/check.h"
#include "models/cycle_average.h"
#include "models/evaluate.h"
#include "models/files.h"

namespace galvan {

namespace fs = std::filesystem;

CycleLosses average_cycles(const fs::path& run, const std::vector<int64_t>& ends, const Transformer& model,
                           const Tokenizer& tokenizer, const TokenArray& tokens, TokenRange validation,
                           int64_t batch_size) {
  const std::vector<fs::path> folders = keep_cycles(run, ends);
  CycleLosses losses{.cycles = static_cast<int64_t>(folders.size())};
  nlohmann::ordered_json record = {{"cycles", losses.cycles}};
  if (!folders.empty()) {
    if (validation.size() > 1) {
      losses.ensemble = ensemble_loss(folders, model, tokens, validation, batch_size);
      record["ensemble_loss"] = *losses.ensemble;
    }
    load_average(folders, model);
    if (validation.size() > 1) {
      losses.average = evaluate(model, tokens, validation, tokenizer, batch_size).loss;
      record["average_loss"] = *losses.average;
    }
    replace_model(run / "average", model, tokenizer);
  }
  write_file_atomically(run / "cycles.json", record.dump(2) + "\n");
  return losses;
}

std::optional<CycleLosses> read_cycle_losses(const fs::path& run) {
  const fs::path file = run / "cycles.json";
  std::error_code ignored;
  if (!fs::exists(file, ignored)) return {};
  try {
    const auto record = nlohmann::json::parse(read_text_file(file));
    CycleLosses losses{.cycles = record.at("cycles").get<int64_t>()};
    // What is not finite is null.
    if (record.contains("average_loss") && record["average_loss"].is_number())
      losses.average = record["average_loss"].get<double>();
    if (record.contains("ensemble_loss") && record["ensemble_loss"].is_number())
      losses.ensemble = record["ensemble_loss"].get<double>();
    return losses;
  } catch (const nlohmann::json::exception& error) {
    fail(file.string(), ": not understood: ", error.what());
  }
}

}  // namespace galvan
