// A run's record, metrics.jsonl, as columns. What a line lacks, or has as null, is NaN.
#pragma once

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

namespace galvan {

struct RunMetrics {
  // One entry an update.
  std::vector<double> step, loss, lr, momentum, grad_norm, tokens, seconds;
  // One entry an evaluation.
  std::vector<double> eval_step, eval_loss, eval_accuracy, eval_perplexity, eval_bits_per_character;
  // Gradient norms by layer: one entry in each of `norms` for each of `norm_step`.
  std::vector<double> norm_step;
  std::vector<std::pair<std::string, std::vector<double>>> norms;
  // The numbers, from 1 on, of lines that are no record, and left out.
  std::vector<size_t> damaged;
};

// A last line without an end that is no record yet is being written, and is left out without being damaged.
RunMetrics read_metrics(const std::filesystem::path& run);

}  // namespace galvan
